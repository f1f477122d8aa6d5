"""Rows of categories."""
