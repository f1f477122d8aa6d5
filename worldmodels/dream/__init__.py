"""The dream: the memory as a world that controllers evolve in and that one can look at.

`config` how dreams go, `starts` where they begin, `residuals` the memory's errors at recorded steps, `step` one step of
many dreams, `world` who dreams what, `dials` what can be turned meanwhile, `ends` when a dream is over and what it
earned, `imagine` controllers in dreams, `env` the same as a gymnasium environment, `film` the agent in it.
"""
