"""Fixtures that need torch and numpy alone: `make gpu` runs this folder on a bare GPU machine."""

from dataclasses import replace

import pytest
import torch

from fashion_hpo.training import devices
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from tests.images import search_splits

ON_GPU = [pytest.param("cuda", marks=pytest.mark.gpu)] if torch.cuda.is_available() else []


@pytest.fixture(scope="session", params=["cpu", *ON_GPU])
def device(request: pytest.FixtureRequest) -> str:
    """The CPU and, where there is one, the GPU; the marker `gpu` is of the second."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def splits() -> SearchSplits:
    return search_splits()


@pytest.fixture(scope="session")
def capturing(device: str) -> Hardware:
    """Hardware whose steps are captured; on the CPU all but the graph is the same."""
    return replace(devices.choose(device, threads=1), step="captured")
