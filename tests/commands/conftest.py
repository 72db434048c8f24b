"""What the tests of commands share."""

import signal
from collections.abc import Iterator

import pytest

from fashion_hpo.running.signals import HANDLED


@pytest.fixture
def handlers() -> Iterator[None]:
    """This process's signal handlers, put back at the end."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
