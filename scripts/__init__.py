"""What people start: the stages of a run (`scripts.stages`) and the commands of both consoles.

Nothing is imported here: PyTorch takes seconds, and `--help` needs none of it.
"""
