import math

import pytest

from generative.core.options import ComponentError
from generative.metrics import spread_over_seeds


def test_the_spread_has_the_divisor_of_a_sample():
    assert spread_over_seeds([1.0, 2.0, 3.0]) == pytest.approx(1)
    assert spread_over_seeds([5.0, 5.0, 5.0, 5.0]) == 0
    with pytest.raises(ComponentError, match="at least 3"):
        spread_over_seeds([1.0, 2.0])
    with pytest.raises(ComponentError, match="not all finite"):
        spread_over_seeds([1.0, 2.0, math.nan])
