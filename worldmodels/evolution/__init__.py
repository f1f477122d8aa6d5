"""Evolution of the controller, the loop around it, and the protocol that measures what came of it.

`generations` asks, tries, tells and validates. `drive` lets controllers drive on tracks, `tasks` is what a worker
process does with them. `starting_point` is where evolution begins, `warm_start` how it begins at another agent's
controller. `rounds` says how the rounds of a loop follow from each other, `evaluate` measures on held-out tracks.
"""
