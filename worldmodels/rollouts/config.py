"""What is recorded, and who drives."""

from dataclasses import dataclass
from typing import Literal

from generative.core.options import check_numbers
from worldmodels.agent.config import is_function

PolicyName = Literal[
    "uniform",
    "action-hold",
    "brownian",
    "ornstein-uhlenbeck",
    "random-agent",
    "agent",
    "perturbed-agent",
    "random-controller",
]
AGENTS: tuple[PolicyName, ...] = ("agent", "perturbed-agent", "random-controller")
"""Drivers that need the agent of a run."""


@dataclass(frozen=True)
class CollectConfig:
    """What is recorded before anything is learnt."""

    policies: tuple[PolicyName, ...] = ("action-hold", "brownian")
    """Who drives, episode by episode in turn: uniform (action_space.sample()), action-hold, brownian,
    ornstein-uhlenbeck, random-agent (the paper's randomly initialised networks), agent (a trained one, see `agent`),
    perturbed-agent (the same, its controller's parameters moved at random), random-controller (a random one over that
    agent's vision and memory)."""
    episodes: int = 100
    """Episodes to record; every tenth is held out of training."""
    max_frames: int = 1000
    """Frames after which an episode is cut."""
    agent: str = ""
    """Run folder whose agent drives where a policy is `agent`; `pretrained` is the one that the package ships,
    `hf://USER/NAME` one on the Hub, and `module:function` what a function of yours builds."""
    noise: float = 0.1
    """Exploration noise of that agent, as a part of each action's range."""
    correlation_time: float = 8.0
    """Steps over which that noise loses all but 1/e of what it was: what lasts moves the car, what is drawn anew at
    every step (0) cancels out."""
    perturbation: float = 0.1
    """Standard deviation of what is added to the parameters of a perturbed agent, or of a random controller's, drawn
    once an episode."""
    bias: tuple[float, ...] = ()
    """Biases of the outputs, before squashing, about which ornstein-uhlenbeck and random-controller vary; empty for
    none. With low gas and a resting brake CarRacing's road is followed for longer."""
    extends: str = ""
    """Run folder whose episodes are taken over before new ones are recorded, or `minari:` and the name or path of a
    Minari data set. `collect.episodes` can then be 0."""
    early_stop: bool = False
    """End an episode as in training (env.no_reward_limit), so that a stranded car records no more."""

    def __post_init__(self) -> None:
        if not self.policies:
            raise ValueError("collect.policies=(): name at least one policy, for example brownian")
        for name in ("episodes", "max_frames"):
            nothing_new = name == "episodes" and self.episodes == 0 and self.extends
            if getattr(self, name) < 2 and not nothing_new:
                raise ValueError(f"collect.{name}={getattr(self, name)}: must be at least 2")
        for name in self.needs_agent:
            if not self.agent:
                raise ValueError(f"collect.policies names `{name}`: set collect.agent to the run folder that has one")
        if is_function(self.agent) and set(self.needs_agent) - {"agent"}:
            raise ValueError(
                f"collect.agent={self.agent}: has no parameters that {', '.join(self.needs_agent)} could move; among "
                "collect.policies it can only be `agent`"
            )
        for name in ("noise", "perturbation", "correlation_time"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"collect.{name}={getattr(self, name)}: must not be negative; 0 leaves it out")
        check_numbers(self, "collect")

    @property
    def needs_agent(self) -> list[PolicyName]:
        """The policies that drive with the trained agent."""
        return [name for name in AGENTS if name in self.policies]
