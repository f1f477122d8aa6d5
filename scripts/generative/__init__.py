"""The commands of `generative`: one file each; `cli.py` reads the command line."""
