"""Runs that are small enough to train in a test."""

from generative.runs.run_folder import Choice, TrainingConfig, TrainingRun
from generative.training.fit_config import FitConfig
from scripts.generative.runs.assembly import resolve
from scripts.generative.train import train

SHAPES = Choice("shapes", {"size": 16, "channels": 1, "count": 400})
DIGITS = Choice("digits", {"size": 16})
AVATARS = Choice("avatars", {"count": 2000})
GRID = Choice("grid", {"count": 2000})
RING = Choice("ring", {"count": 2000})
MOONS = Choice("moons", {"count": 2000})
OUTLINES = Choice("outlines", {"size": 16, "count": 200})
TEXT = Choice("text", {"path": __file__, "length": 16})
FIT = FitConfig(steps=8)
MODELS = {
    "vae": ({"latent": 4, "width": 8, "kl_floor": 0.0}, SHAPES),
    "autoencoder": ({"latent": 4, "width": 8, "density": 2}, SHAPES),
    "conditional-vae": ({"latent": 4, "width": 8}, DIGITS),
    "vq-vae": ({"width": 8, "codes": 16}, SHAPES),
    "pca": ({"latent": 6, "frames": 200}, SHAPES),
    "random-convolutions": ({"latent": 8, "width": 8}, SHAPES),
    "mlp-classifier": ({"hidden": [16]}, DIGITS),
    "dcgan": ({"latent": 4, "width": 8}, SHAPES),
    "conditional-gan": ({"latent": 4, "width": 8, "critic_steps": 1}, DIGITS),
    "pixel-cnn": ({"width": 4, "layers": 2, "levels": 4}, Choice("digits", {"size": 8})),
    "cycle-gan": ({"width": 4, "blocks": 1, "critic_width": 4, "critic_halvings": 1}, OUTLINES),
    "style-transfer": ({"width": 4, "blocks": 1, "style_size": 24}, SHAPES),
    "lstm": ({"embedding": 8, "hidden": 16}, TEXT),
    "gpt-2": ({"width": 8, "layers": 1, "heads": 2, "context": 8}, TEXT),
    "encoder-decoder": ({"embedding": 8, "hidden": 16, "heads": 2}, Choice("copy", {"count": 400, "length": 4})),
    "transformer": ({"width": 16, "layers": 1, "heads": 2}, Choice("copy", {"count": 400, "length": 4})),
    "question-generator": ({"embedding": 8, "hidden": 16}, Choice("questions", {"count": 400})),
    "bert": ({"width": 16, "layers": 1, "heads": 2}, TEXT),
    "naive-bayes": ({}, DIGITS),
    "toy-distribution": ({"margin": 0.02}, GRID),
    "multinomial": ({"count": 1800}, AVATARS),
}


def config(model="vae", data=None, **values):
    options, usual = MODELS[model]
    return resolve(
        TrainingConfig(
            model=Choice(model, options),
            data=data or usual,
            **{"fit": FIT, "batch": 16, "shown": 16, "show_every": 4, "device": "cpu", "preset": "none", **values},
        )
    )


def finished(path, *arguments, **values):
    run = TrainingRun.create(path, config(*arguments, **values))
    for _ in train(run):
        pass
    return run
