"""The catalogue: every network's builder registers itself by its name."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn

CATALOGUE: dict[str, Callable[..., nn.Module]] = {}
"""Name to builder; a builder's keyword arguments, but for dropout, are its options."""

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def network(builder: Builder) -> Builder:
    """Register a builder: a config's `architecture` is the name of the function."""
    CATALOGUE[builder.__name__] = builder
    return builder
