"""Vision (V): frames -> latents.

`contract` is what a vision takes and gives, `registry` knows them by name. `encode` encodes a run's frames once with
the trained vision, `latent_files` keeps and reads what came of it.
"""
