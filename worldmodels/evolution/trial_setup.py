"""What the processes that try candidates are built from."""

from dataclasses import dataclass, replace

from worldmodels.agent.bundle import Bundle
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.starts import Starts
from worldmodels.rollouts.translated import Translator


@dataclass(frozen=True)
class TrialSetup:
    """What a worker is built from."""

    bundle: Bundle
    width: int
    """Environments stepped together, and so the batch width of the networks."""
    dream: DreamConfig | None = None
    starts: Starts | None = None
    action_cost: float = 0.0
    """`EvolveConfig.action_cost` in dreams."""
    translator: Translator | None = None
    """What translates the frames of real environments before the agent sees them."""
    agent: str = ""
    """What drives instead of the bundle's controller, `module:function`."""

    def awake(self) -> "TrialSetup":
        """Return it for workers that do not dream."""
        return replace(self, bundle=replace(self.bundle, generator=None), dream=None, starts=None)
