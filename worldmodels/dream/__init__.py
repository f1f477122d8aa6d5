"""The dream: the memory as a world that controllers evolve in and that one can look at.

`starts` where dreams begin, `residuals` what recorded steps had that the memory did not expect, `step` one step of
many dreams, `world` who dreams what, `dream` how a dream goes and ends, `env` the same as a gymnasium environment,
`film` the agent in it.
"""
