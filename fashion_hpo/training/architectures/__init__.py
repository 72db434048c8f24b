"""The networks: one file a family, registered by one line here; one builder a variant.

Every network maps float32 (N, channels, 28, 28) to logits (N, classes); channels and classes are
the data set's, 1 and 10 for Fashion-MNIST.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from fashion_hpo.design.config import Option, TrainConfig
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo
from fashion_hpo.design.sentences import did_you_mean, listed
from fashion_hpo.training.architectures import cnn as cnn
from fashion_hpo.training.architectures import cnn_transformer as cnn_transformer
from fashion_hpo.training.architectures import deformable_cnn as deformable_cnn
from fashion_hpo.training.architectures import dilated_cnn as dilated_cnn
from fashion_hpo.training.architectures import lenet5 as lenet5
from fashion_hpo.training.architectures import mobilenet_v2 as mobilenet_v2
from fashion_hpo.training.architectures import optimized_cnn as optimized_cnn
from fashion_hpo.training.architectures import pooled_vit as pooled_vit
from fashion_hpo.training.architectures import prompted_vit as prompted_vit
from fashion_hpo.training.architectures import resnet9 as resnet9
from fashion_hpo.training.architectures import resnet18 as resnet18
from fashion_hpo.training.architectures import simple_cnn as simple_cnn
from fashion_hpo.training.architectures import three_block_cnn as three_block_cnn
from fashion_hpo.training.architectures import vgg as vgg
from fashion_hpo.training.architectures import vit as vit
from fashion_hpo.training.architectures.catalogue import CATALOGUE as CATALOGUE
from fashion_hpo.training.architectures.pretrained import read_weights
from fashion_hpo.training.architectures.prompted_vit import PromptedTransformer
from fashion_hpo.training.randomness import seed_default_generator

DEFAULT_SHAPE = {"in_channels": 1, "classes": 10}  # Fashion-MNIST's
CLASSICAL = ("logistic_regression", "nearest_neighbours", "svm", "random_forest", "mlp")
"""Classifiers that are not networks but may be a study's architecture: see `running.classical`."""


def build(
    name: str,
    *,
    dropout: float = 0.0,
    backbone_file: Path | None = None,
    info: DataInfo = FASHION_MNIST,
    **options: Option,
) -> nn.Module:
    """A network for a data set, initialised from torch's default generator.

    `backbone_file`: the state dict of the trained `vit` that the option `backbone` names.  Raises
    ValueError for an unknown name or option, a value that makes no network, and weights that do not
    fit or are not available.
    """
    _check_options(name, options)
    network = CATALOGUE[name](dropout=dropout, **_shape(name, info), **options)
    backbone = options.get("backbone", "random")
    if backbone_file is not None and backbone == "random":
        raise ValueError(f"backbone_file is {backbone_file}, but {name} takes none; leave it out.")
    if backbone != "random":
        if backbone_file is None:
            raise ValueError(
                f"architecture option backbone is {backbone!r}, and its weights were not found; "
                "give backbone_file, the state dict of that vit."
            )
        assert isinstance(network, PromptedTransformer)
        network.load_backbone(read_weights(backbone_file), f"backbone {backbone}")
    return network


def build_for(
    config: TrainConfig, backbone_file: Path | None = None, info: DataInfo = FASHION_MNIST
) -> nn.Module:
    """The config's network for a data set; seed and backbone alone decide its initial weights."""
    name, options = config.architecture, dict(config.architecture_options)
    _check_options(name, options)  # here too: an option "dropout" would shadow the argument
    seed_default_generator(config.seed, "initial weights")
    return build(name, dropout=config.dropout, backbone_file=backbone_file, info=info, **options)


def without_backbone(config: TrainConfig) -> TrainConfig:
    """The config with random weights in its backbone, which change neither speed nor memory."""
    options = {k: v for k, v in config.architecture_options.items() if k != "backbone"}
    return config.replace(architecture_options=options)


def skeleton(name: str, options: Mapping[str, Option], info: DataInfo = FASHION_MNIST) -> nn.Module:
    """The network on torch's meta device: shapes without values, which take no memory.

    Raises ValueError as `build` does, but loads no weights.
    """
    _check_options(name, options)
    try:
        with torch.device("meta"):
            return CATALOGUE[name](**_shape(name, info), **options)
    except (RuntimeError, TypeError) as error:  # torch's, for sizes beyond 64 bits
        raise ValueError(
            f"architecture_options {dict(options)} make no network ({error}); lower them."
        ) from None


def check(name: str, options: Mapping[str, Option], info: DataInfo = FASHION_MNIST) -> None:
    """Raise ValueError unless the architecture exists, has these options and fits the data set."""
    if name not in CLASSICAL:
        skeleton(name, options, info)
    elif options:
        raise ValueError(f"architecture_options has {min(options)!r}; {name} has no options.")


def parameter_count(network: nn.Module) -> int:
    """The number of parameters, trainable or not."""
    return sum(p.numel() for p in network.parameters())


def trainable_count(network: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _shape(name: str, info: DataInfo) -> dict[str, int]:
    """The builder's arguments for a data set; a builder without them makes a network for
    Fashion-MNIST's one channel and ten classes."""
    parameters = inspect.signature(CATALOGUE[name]).parameters
    wanted = {"in_channels": info.channels, "classes": len(info.classes)}
    for argument, value in wanted.items():
        if argument not in parameters and value != DEFAULT_SHAPE[argument]:
            raise ValueError(
                f"architecture {name} takes no {argument}, and {info.name} has {value}; add the "
                f"argument {argument} to its builder."
            )
    return {argument: value for argument, value in wanted.items() if argument in parameters}


def _check_options(name: str, options: Mapping[str, Option]) -> None:
    """Check the options' names and types; the builder checks their values."""
    if name in CLASSICAL:
        raise ValueError(f"architecture is {name!r}, not a network; only a study can fit it.")
    if name not in CATALOGUE:
        every = listed(sorted(CATALOGUE), "`python -m fashion_hpo.train --list`")
        hint = did_you_mean(name, [*CATALOGUE, *CLASSICAL]) or f"there are {every}."
        raise ValueError(f"architecture is {name!r}; {hint}")
    known = {p.name: p for p in inspect.signature(CATALOGUE[name]).parameters.values()}
    del known["dropout"]  # a field of the config
    for argument in DEFAULT_SHAPE:  # the data set's
        known.pop(argument, None)
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"architecture_options has {option!r}; {name} has {', '.join(known) or 'none'}."
            )
        if wanted := _refusal(known[option].annotation, value):
            raise ValueError(f"architecture option {option} is {value!r}; {wanted}.")


def _refusal(annotation: Any, value: Option) -> str:
    """The allowed values as text; empty if the value is allowed."""
    if choices := get_args(annotation):
        allowed = any(type(value) is type(choice) and value == choice for choice in choices)
        return "" if allowed else f"choose one of {', '.join(map(str, choices))}"
    fits = type(value) is annotation and not (isinstance(value, int) and value < 1)
    return "" if fits else f"allowed is {KINDS[annotation]}"


KINDS = {int: "a whole number from 1", float: "a number with a point", str: "a text"}
