"""Models of text, token by token."""
