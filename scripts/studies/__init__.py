"""What `scripts/study.py` gives to workers, and what it keeps of a session."""
