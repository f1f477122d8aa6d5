import math

import pytest

from generative.sampling.dials import CategorySampling, PriorSampling


@pytest.mark.parametrize("kind", [PriorSampling, CategorySampling])
def test_a_senseless_temperature_is_refused(kind):
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"temperature={wrong}"):
            kind(wrong)
    assert kind(0.0).temperature == 0.0 and kind().temperature == 1.0
