"""One file, one measure of the card: what it takes is held-out episodes, what it returns is plain data."""
