"""Metrics of sets of images, of reconstructions and of latents."""
