"""The commands of `worldmodels`, the fields that each can set, and those that people change.

`--help` of a command shows the settings in the order of the stages, a line each; `--help-all` shows every field.
"""

COMMANDS = {
    "run": "all stages in order, each from where it stands",
    "collect": "record episodes for vision and memory to learn from",
    "train-vision": "train V, the VAE or another vision: frames to latents",
    "train-memory": "train M, the MDN-RNN or another memory: latents and actions to what comes next",
    "evolve": "evolve C, the controller, with CMA-ES in the real environment or in the dream",
    "loop": "rounds of collect, train and evolve, each with the controller of the round before",
    "evaluate": "measure the chosen controller on held-out test tracks",
    "dream": "film the agent in its dream, compared with a real drive",
    "accuracy": "measure the world model itself on held-out tracks: one HTML page and JSON",
    "report": "one HTML page with scores, curves, pictures and the drive",
    "export": "write the agent of a run alone, small enough to ship",
    "info": "what a run folder holds and how far it got",
    "study": "compare many configurations over several seeds: one table, one plot",
    "benchmark": "speed and exactness on this machine, compared with gymnasium, EnvPool and plain loops",
}

SECTIONS = {
    "run": (
        *("seed", "device", "env", "collect", "vision", "memory", "features", "controller", "evolve", "dream"),
        *("loop", "evaluate", "film", "accuracy", "executor"),
    ),
    "collect": ("seed", "env", "collect", "executor"),
    "train-vision": ("device", "vision"),
    "train-memory": ("device", "memory", "dream"),
    "evolve": ("features", "controller", "evolve", "dream", "executor"),
    "loop": (
        *("seed", "device", "env", "collect", "vision", "memory", "features", "controller", "evolve", "dream"),
        *("loop", "executor"),
    ),
    "evaluate": ("evaluate", "executor"),
    "dream": ("film",),
    "accuracy": ("accuracy",),
    "report": (),
}
"""The sections of the configuration that a command can set; those with none here read no configuration."""

SETTINGS = {
    "seed": "number that every random draw follows from",
    "device": "where networks train: auto, cpu, cuda or mps",
    "env.id": "environment, by its gymnasium id",
    "env.crop": "rows of its frames to keep",
    "env.action_repeat": "frames for which an action is held",
    "env.max_steps": "frames after which an episode ends; 0: its own limit",
    "collect.policies": "who drives, episode by episode in turn",
    "collect.episodes": "episodes to record",
    "collect.max_frames": "frames after which a recorded episode is cut",
    "collect.agent": "run whose agent drives where a policy is `agent`",
    "vision.type": "vae, beta-vae, autoencoder, vq-vae, pca ...",
    "vision.options.latent": "size of the latent of a frame",
    "vision.options.beta": "weight of the KL divergence",
    "vision.fit.steps": "training steps",
    "vision.fit.learning_rate": "learning rate of AdamW after the warm-up",
    "memory.type": "mdn-rnn, lstm, feed-forward, transformer, ensemble ...",
    "memory.options.hidden": "units of the recurrent network",
    "memory.options.mixtures": "Gaussians in the mixture of a latent dimension",
    "memory.reward.type": "raw, smoothed, event-rate or progress",
    "memory.termination.type": "what ends a dream: env or off-road",
    "memory.fit.steps": "training steps",
    "memory.fit.learning_rate": "learning rate of AdamW after the warm-up",
    "features.reads": "what the controller reads: vision, memory or both",
    "controller.type": "linear or mlp",
    "evolve.world": "where controllers are tried: real or dream",
    "evolve.start": "run whose controller evolution begins at",
    "evolve.generations": "generations of the optimiser",
    "evolve.episodes": "episodes that each candidate drives in a generation",
    "evolve.optimiser.type": "cma, sep-cma, or another",
    "evolve.optimiser.population": "candidates in a generation",
    "evolve.optimiser.sigma": "standard deviation of the first generation",
    "dream.horizon": "steps of a dream",
    "dream.temperature": "above 1 dreams are more random, below 1 less",
    "dream.noise": "what is added to the mean of the next latent",
    "loop.rounds": "rounds in all; 0: every stage runs once",
    "loop.vision_every": "rounds between trainings of vision",
    "loop.warm_start": "train vision and memory on from the round before",
    "evaluate.tracks": "test tracks to drive",
    "evaluate.baseline": "let a random policy drive the same tracks",
    "evaluate.video": "write a video of the episode of median return",
    "film.steps": "steps of dreams in the film",
    "film.context": "real steps that the memory sees before it predicts",
    "film.ahead": "steps that it then predicts from the actions alone",
    "film.track": "seed of the track of the real drive",
    "accuracy.episodes": "episodes of each policy on validation tracks",
    "accuracy.max_frames": "frames after which such an episode is cut",
    "accuracy.controllers": "controllers to compare in the dream and the real world",
    "executor.type": "ray, or serial for one process",
    "executor.workers": "worker processes; 0: one for each core",
}
"""The fields that people change, in the order of the stages. What a run lacks, as another vision does, is left out."""

UNUSUAL = {"run": ("accuracy", "film")}
"""Sections whose settings a command does not show, as people set them where they are used."""

SHORT = {
    "--world": "--evolve.world",
    "--features": "--features.reads",
    "--memory": "--features.memory",
    "--ray-address": "--executor.address",
    "--workers": "--executor.workers",
    "--tracks": "--evaluate.tracks",
    "--baseline": "--evaluate.baseline",
}
"""Short names for fields that are often set."""

DRY = ("run", "collect", "train-vision", "train-memory", "evolve", "loop", "evaluate")
"""Commands that take long, and so have `--dry-run`."""

BEGINNING = ("run", "collect", "loop")
"""Commands that can begin a run without `--preset` or `--config`."""

PLANNED = ("run", "loop")
"""Commands of several stages, whose remaining time is planned."""


def settings(command: str) -> dict[str, str]:
    """Return the fields that `--help` of a command shows, each with what it says of them."""
    sections = [name for name in SECTIONS[command] if name not in UNUSUAL.get(command, ())]
    return {name: said for name, said in SETTINGS.items() if name.partition(".")[0] in sections}
