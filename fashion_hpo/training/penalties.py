"""Penalties that are added to the cross entropy.

A penalty is a weighted scalar, the mean over the images of a pass.  As a mean, the gradient of a
step does not depend on how the step is cut into micro-batches.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Penalised(Protocol):
    """A network with a penalty of its own."""

    def penalised(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, as `forward` returns them, and the penalty to add to the loss (a scalar)."""
        ...


def logits_and_penalty(
    model: nn.Module, pixels: Tensor, head_l2: float, layers: int = 1
) -> tuple[Tensor, Tensor | None]:
    """A forward pass's logits, and the sum of the network's own penalty and of λ·‖W‖² of its last
    linear layers' weights; None without any."""
    penalty: Tensor | None = None
    if isinstance(model, Penalised):
        logits, penalty = model.penalised(pixels)
    else:
        logits = model(pixels)
    for layer in head(model, layers) if head_l2 else ():
        of_layer = head_l2 * layer.weight.float().square().sum()
        penalty = of_layer if penalty is None else penalty + of_layer
    return logits, penalty


def head(model: nn.Module, layers: int = 1) -> list[nn.Linear]:
    """The last linear layers; the last of them gives the logits.  Raises ValueError if there are
    none."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(
            f"head_l2 is set, but {type(model).__name__} has no linear layer; leave head_l2 at 0."
        )
    return linear[-layers:]
