"""What `evaluate` and `diagnose` measure, by kind of data."""
