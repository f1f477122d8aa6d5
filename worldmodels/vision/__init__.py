"""Vision (V): frames -> latents.

`contract` is what a vision takes and gives; `latents` are a run's frames, encoded once by the trained vision.
"""
