import jaxtyping
import pytest


@pytest.fixture
def production():
    """Switches the checks of annotations off, as they are outside tests, so that our own errors are met."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
