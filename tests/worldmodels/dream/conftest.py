"""What tests of dreams share: a vision and a memory, and starts for their dreams."""

import pytest

from tests.worldmodels.dreaming import make_parts, make_starts


@pytest.fixture(scope="module")
def parts():
    return make_parts()


@pytest.fixture(scope="module")
def starts():
    return make_starts()
