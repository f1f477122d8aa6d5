"""The agent: what it reads of a frame, how it acts, and how it is put together, stored and shipped.

`features` what the controller reads, `controller_policy` the controller at the wheel, `agent` a trained one for Python
users, `bundle` all that it needs in one piece, `build` its parts put together for a run, `export` the run folder
without what it was made from.
"""
