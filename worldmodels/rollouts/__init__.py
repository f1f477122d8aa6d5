"""Rollouts: recorded episodes, and how they come about.

`play` steps policies through environments, `collect` records whole episodes with it, `episode` is one of them and its
file, `dataset` reads many as training data.
"""
