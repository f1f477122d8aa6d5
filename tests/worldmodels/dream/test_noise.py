"""Dreams draw the noise that their memory says it uses, and no other."""

import pytest
import torch

from tests.worldmodels.dreaming import CONFIG, SEEDS, candidates, dream, lively
from worldmodels.dream.noise import Noise


def test_what_a_memory_does_not_use_is_not_kept_and_the_rest_has_the_same_numbers(starts):
    whole = Noise.draw(SEEDS, starts, CONFIG)
    for kind, other in (("normal", "uniform"), ("uniform", "normal")):
        part = Noise.draw(SEEDS, starts, CONFIG, (kind,))
        assert getattr(part, other).numel() == 0
        same = [name for name in Noise._fields if name != other]
        assert all(torch.equal(getattr(part, name), getattr(whole, name)) for name in same)


@pytest.mark.parametrize(
    ("kind", "hidden", "draws"),
    [("diffusion", 12, ("normal",)), ("lstm", 16, ()), ("mdn-rnn", 16, ("uniform", "normal"))],
)
def test_a_dream_asks_its_memory(parts, starts, kind, hidden, draws, monkeypatch):
    asked, drawn = [], Noise.draw
    monkeypatch.setattr(Noise, "draw", lambda *given: asked.append(given[3]) or drawn(*given))
    dream((parts[0], lively(kind, hidden=hidden)), starts, candidates(1))
    assert asked == [draws]
