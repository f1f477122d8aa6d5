"""Attention: within a sequence, from a sequence to its source, over an image, and the blocks that are made of it."""
