"""The catalogue: one file per family, one decorated builder per variant.

Every network maps float32 (N, 1, 28, 28) to logits (N, 10).
"""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches

from torch import nn

from fashion_hpo.design.config import Option, TrainConfig
from fashion_hpo.training.architectures import cnn, optimized_cnn, simple_cnn, three_block_cnn
from fashion_hpo.training.randomness import seed_default_generator

CATALOGUE = {
    "cnn": cnn.cnn,
    "simple_cnn": simple_cnn.simple_cnn,
    "optimized_cnn": optimized_cnn.optimized_cnn,
    "three_block_cnn": three_block_cnn.three_block_cnn,
}
"""Name to builder; a builder's keyword arguments, but for dropout, are its options."""


def build(name: str, *, dropout: float = 0.0, **options: Option) -> nn.Module:
    """A freshly initialised network, from torch's default generator.

    Raises ValueError for a name or an option that the catalogue lacks.
    """
    check(name, options)
    network: nn.Module = CATALOGUE[name](dropout=dropout, **options)  # type: ignore[arg-type]
    return network


def build_for(config: TrainConfig) -> nn.Module:
    """The config's network; its initial weights depend on the config's seed alone."""
    seed_default_generator(config.seed, "initial weights")
    options = dict(config.architecture_options)
    check(config.architecture, options)
    return build(config.architecture, dropout=config.dropout, **options)


def check(name: str, options: Mapping[str, Option]) -> None:
    """Raise ValueError unless the catalogue has this network with these options."""
    if name not in CATALOGUE:
        near = get_close_matches(name, CATALOGUE, n=2) or sorted(CATALOGUE)
        raise ValueError(f"architecture is {name!r}; did you mean {' or '.join(near)}?")
    known = {
        p.name: p.default
        for p in inspect.signature(CATALOGUE[name]).parameters.values()
        if p.name != "dropout"
    }
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"architecture_options has {option!r}; {name} has {', '.join(known) or 'none'}."
            )
        kind = type(known[option])
        if type(value) is not kind or (kind is int and value < 1):  # type: ignore[operator]
            raise ValueError(
                f"architecture option {option} is {value!r}; allowed is "
                f"{'a whole number from 1' if kind is int else kind.__name__}."
            )


def parameter_count(network: nn.Module) -> int:
    """All parameters, trainable or not."""
    return sum(p.numel() for p in network.parameters())
