"""Images that are drawn: every pixel follows from a seed and a number, and all factors behind it are known."""
