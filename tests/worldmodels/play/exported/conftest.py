"""Parts whose weights are halves already, so that an exported page rounds nothing, and the page of them."""

import copy
import dataclasses

import numpy as np
import pytest

from tests.worldmodels.play.conftest import make
from worldmodels.agent.bundle import bundle_parts
from worldmodels.play.exported.folder import export_page


def rounded(parts):
    """Return parts with weights as a page has them."""
    vision, memory = (copy.deepcopy(part).half().float() for part in (parts.vision, parts.memory))
    bundle = dataclasses.replace(parts.agent.bundle, **bundle_parts(vision, memory))
    agent = dataclasses.replace(parts.agent, bundle=bundle)
    dream = dataclasses.replace(parts.dream, horizon=100)
    starts, value = parts.starts, parts.starts.residuals.value.astype(np.float16).astype(np.float32)
    starts = dataclasses.replace(starts, residuals=starts.residuals._replace(value=value))
    return dataclasses.replace(parts, vision=vision, memory=memory, agent=agent, dream=dream, starts=starts)


@pytest.fixture(scope="package")
def exported():
    return rounded(make())


@pytest.fixture(scope="package")
def page(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "page"
    export_page("run", exported, folder)
    return folder
