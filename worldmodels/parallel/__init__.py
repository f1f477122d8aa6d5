"""Where work runs: in this process, or on Ray's workers with the same numbers.

`config` is its section of the configuration, `executor` what every executor offers, `open` starts the one that is
asked for. `serial` works in this process, `host` says what decides a result on a machine.

Ray: `ray_executor` keeps the workers going, `ray_slots` knows which one is at which item, `ray_worker` is a worker's
process, `ray_session` the Ray they run in, `ray_address` whether a cluster is where the user says, `ray_internals`
what Ray has no public switch for.
"""
