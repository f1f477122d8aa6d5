"""The run folder: what was asked for, what is finished, what a run costs and what can be known before it.

`folder` is the run, `finished` what a finished stage leaves beside its files, `preflight` the checks before the first
frame. `rates` measures this machine, `estimate` says what the stages will take on it, `plan` the time that is left.
"""
