"""Read pretrained weights, without running code from the file, and load them into a network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

NAMED = 5
"""At most so many layers that do not fit are named in a message."""


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a file written by `torch.save`; raises ValueError for any other file."""
    try:
        weights = torch.load(file, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise ValueError(f"the weights {file} do not exist; give an existing file.") from None
    except OSError:
        raise  # a failure of the disk, not of the file
    except Exception as error:  # a damaged file may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"the weights {file} cannot be read ({reason}); "
            "give a state dict that torch.save wrote."
        ) from None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(
            f"the weights {file} are not a state dict; give a state dict that torch.save wrote."
        )
    return weights


def torchvision_models(architecture: str) -> Any:
    """torchvision's networks; raises ValueError, naming `architecture`, without torchvision."""
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # absent, or built for another torch
        raise ValueError(
            f"architecture is {architecture!r}, which needs torchvision, but torchvision cannot be "
            f"imported ({error}); install the version for torch {torch.__version__}."
        ) from None
    return models


def published_weights(published: Any, option: str, else_do: str) -> dict[str, Tensor]:
    """One of torchvision's `Weights`, from torch's cache or downloaded into it.

    Raises ValueError, naming the option that is "imagenet" and where to put the file by hand.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    try:
        state_dict: dict[str, Tensor] = published.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except Exception as error:  # a download or a damaged file may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"architecture option {option} is 'imagenet', but {published.url} cannot be downloaded "
            f"({reason}); put that file at {file}, or {else_do}."
        ) from None
    return state_dict


def load_into(
    network: nn.Module, weights: Mapping[str, Tensor], source: str, without: tuple[str, ...] = ()
) -> None:
    """Load the weights into the network, except names that begin with one of `without`.

    Raises ValueError, naming the layers, if names or shapes differ from the network's.
    """
    state_dict = network.state_dict()
    wanted = {name: value for name, value in state_dict.items() if not name.startswith(without)}
    given = {name: value for name, value in weights.items() if not name.startswith(without)}
    problems = [f"{name} is missing" for name in wanted if name not in given]
    problems += [f"{name} is unknown here" for name in given if name not in wanted]
    problems += [
        f"{name} is {_shape(given[name])} and not {_shape(value)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise ValueError(
            f"{source} does not fit: {'; '.join(problems[:NAMED])}{more}; set architecture_options "
            "to those with which the weights were trained."
        )
    network.load_state_dict({**state_dict, **given})


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"
