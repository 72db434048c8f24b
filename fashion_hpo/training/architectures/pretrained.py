"""Weights trained elsewhere: read from a file without running its code, and taken if they fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

NAMED = 5
"""How many layers that do not fit are named."""


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a file that `torch.save` wrote; raises ValueError for any other file."""
    try:
        weights = torch.load(file, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise ValueError(f"the weights {file} do not exist; give a file that does.") from None
    except OSError:
        raise  # the disk's fault, not the file's
    except Exception as error:  # damaged files fail in every way there is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"the weights {file} cannot be read ({reason}); "
            "give a state dict that torch.save wrote."
        ) from None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(f"the weights {file} are no state dict; give one that torch.save wrote.")
    return weights


def torchvision_models(architecture: str) -> Any:
    """torchvision's networks; raises ValueError, naming ours that needs them, if it has none."""
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # absent, or built for another torch
        raise ValueError(
            f"architecture is {architecture!r}, which needs torchvision, and that cannot be loaded "
            f"({error}); install the one that belongs to torch {torch.__version__}."
        ) from None
    return models


def published_weights(published: Any, option: str, else_do: str) -> dict[str, Tensor]:
    """One of torchvision's `Weights`, from torch's cache or else downloaded into it.

    Raises ValueError, naming the option that is "imagenet" and where to put the file by hand.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    try:
        found: dict[str, Tensor] = published.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except Exception as error:  # networks and damaged files fail in every way there is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"architecture option {option} is 'imagenet', and {published.url} cannot be had "
            f"({reason}); put that file at {file}, or {else_do}."
        ) from None
    return found


def load_into(
    network: nn.Module, weights: Mapping[str, Tensor], source: str, without: tuple[str, ...] = ()
) -> None:
    """Copy all of `weights` into the network, but those whose names begin as in `without`.

    Raises ValueError, naming the layers, unless names and shapes are the network's.
    """
    own = network.state_dict()
    wanted = {name: value for name, value in own.items() if not name.startswith(without)}
    given = {name: value for name, value in weights.items() if not name.startswith(without)}
    wrong = [f"{name} is missing" for name in wanted if name not in given]
    wrong += [f"{name} is unknown here" for name in given if name not in wanted]
    wrong += [
        f"{name} is {_shape(given[name])} and not {_shape(value)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise ValueError(
            f"{source} does not fit: {'; '.join(wrong[:NAMED])}{more}; give architecture_options "
            "with which those weights were trained."
        )
    network.load_state_dict({**own, **given})


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"
