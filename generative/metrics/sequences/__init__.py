"""Metrics of texts, answers and music."""
