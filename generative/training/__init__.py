"""The training loop of every component, its checkpoints, and averages of weights."""
