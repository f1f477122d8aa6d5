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
    "play": "drive in the dream and in the real environment, from a browser",
    "export": "write the agent of a run alone, small enough to ship, or its rollouts for Minari",
    "push": "upload the agent of a run to the Hugging Face Hub, with its model card",
    "info": "what a run folder holds and how far it got",
    "study": "compare many configurations over several seeds: one table, one plot",
    "benchmark": "speed and exactness on this machine, compared with gymnasium, EnvPool and plain loops",
}

SECTIONS = {
    "run": (
        *("seed", "tracker", "device", "dtype", "env", "collect", "vision", "memory", "features", "controller"),
        *("evolve", "dream", "loop", "evaluate", "accuracy", "executor"),
    ),
    "collect": ("seed", "env", "collect", "executor"),
    "train-vision": ("tracker", "device", "vision"),
    "train-memory": ("tracker", "device", "memory"),
    "evolve": ("tracker", "dtype", "features", "controller", "evolve", "dream", "executor"),
    "loop": (
        *("seed", "tracker", "device", "dtype", "env", "collect", "vision", "memory", "features", "controller"),
        *("evolve", "dream", "loop", "executor"),
    ),
    "evaluate": ("evaluate", "executor"),
    "dream": (),
    "accuracy": ("accuracy",),
    "report": (),
}
"""The sections of the configuration that a command can set; those with none here read no configuration."""

SETTINGS = {
    "seed": "Number that every random draw follows from",
    "tracker": "Where curves go: tensorboard, trackio, wandb or none",
    "device": "Where networks train: auto, cpu, cuda or mps",
    "dtype": "Numbers while agents play and dream: auto, float32 or bfloat16",
    "env.id": "Environment, by its gymnasium id",
    "env.crop": "Rows of its frames to keep",
    "env.action_repeat": "Frames for which an action is held",
    "env.max_steps": "Frames after which an episode ends; 0: its own limit",
    "collect.policies": "Who drives, episode by episode in turn",
    "collect.episodes": "Episodes to record",
    "collect.max_frames": "Frames after which a recorded episode is cut",
    "collect.agent": "Run whose agent drives where a policy is `agent`",
    "vision.type": "Kind: vae, beta-vae, autoencoder, vq-vae, pca ...",
    "vision.options.latent": "Size of the latent of a frame",
    "vision.options.beta": "Weight of the KL divergence",
    "vision.fit.steps": "Training steps",
    "vision.fit.learning_rate": "Learning rate of Adam after the warm-up",
    "memory.type": "Kind: mdn-rnn, lstm, feed-forward, transformer ...",
    "memory.options.hidden": "Units of the recurrent network",
    "memory.options.mixtures": "Gaussians in the mixture of a latent dimension",
    "memory.reward.type": "Target: raw, smoothed, event-rate or progress",
    "memory.termination.type": "Target: env, or off-road in CarRacing",
    "memory.fit.steps": "Training steps",
    "memory.fit.learning_rate": "Learning rate of Adam after the warm-up",
    "features.reads": "Input: vision+memory, vision or frame-stack",
    "controller.type": "Kind: linear or mlp",
    "evolve.world": "Where controllers are tried: real or dream",
    "evolve.start": "Run whose controller evolution begins at",
    "evolve.generations": "Generations of the optimiser",
    "evolve.episodes": "Episodes that each candidate drives in a generation",
    "evolve.optimiser.type": "Kind: cma, sep-cma or random-search",
    "evolve.optimiser.population": "Candidates in a generation",
    "evolve.optimiser.sigma": "Standard deviation of the first generation",
    "dream.horizon": "Steps of a dream",
    "dream.temperature": "Above 1 dreams are more random, below 1 less",
    "dream.noise": "What is added to the mean latent: mixture or residual",
    "loop.rounds": "Rounds in all; 0: every stage runs once",
    "loop.vision_every": "Rounds between trainings of vision",
    "loop.warm_start": "Train vision and memory on from the round before",
    "evaluate.tracks": "Test tracks to drive",
    "evaluate.baseline": "Let a random policy drive the same tracks",
    "accuracy.controllers": "Controllers to compare in the dream and the real world",
    "executor.type": "Kind: ray, or serial for one process",
    "executor.workers": "Worker processes; 0: one for each core",
}
"""The fields that people change, in the order of the stages. What a run lacks, as another vision does, is left out."""

UNUSUAL = {"run": ("accuracy",)}
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
