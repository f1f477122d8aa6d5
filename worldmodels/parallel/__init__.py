"""Where work runs: in this process, or on Ray's workers with the same numbers.

`executor` is what both offer; `ray_executor` keeps a pool of workers, `slots` its books, `ray_session` the Ray it runs
in, `ray_address` whether a cluster is where the user says.
"""
