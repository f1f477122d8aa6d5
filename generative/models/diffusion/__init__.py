"""Models that make data by taking noise away, step by step."""
