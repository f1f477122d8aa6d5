"""Evolution of the controller, the loop around it, and the protocol that measures what came of it.

`evolve` asks and tells, `tasks` is what a worker process holds and tries, `warm_start` begins at another controller,
`loop` says how rounds go on from each other, `evaluate` measures on held-out tracks.
"""
