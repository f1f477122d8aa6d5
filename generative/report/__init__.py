"""Pages, figures, films and pictures: what both commands show of their runs."""
