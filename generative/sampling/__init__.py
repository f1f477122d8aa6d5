"""How models draw: the dials that there are, and what they do."""
