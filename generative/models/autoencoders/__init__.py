"""Models that encode: autoencoders, VAEs, principal components."""
