"""Pages for the eye: the report of a run, its plots, and frames as films."""
