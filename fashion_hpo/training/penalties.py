"""Penalties that are added to the cross entropy.

A module with a penalty sets its attribute `penalty` in every forward pass in training mode: a
weighted scalar, the mean over the images of the pass.  As a mean, the gradient of a step does not
depend on how the step is cut into micro-batches.
"""

import torch
from torch import Tensor, nn


def take(model: nn.Module, head_l2: float) -> Tensor | None:
    """The sum of the modules' penalties and of λ·‖W‖² of the head's weights; None without any.

    Clears the modules' penalties, so that no graph outlives its step.
    """
    penalties = []
    for module in model.modules():
        penalty = getattr(module, "penalty", None)
        if isinstance(penalty, Tensor):
            penalties.append(penalty.float())
            module.penalty = None  # type: ignore[assignment]
    if head_l2:
        penalties.append(head_l2 * head(model).weight.float().square().sum())
    return torch.stack(penalties).sum() if penalties else None


def head(model: nn.Module) -> nn.Linear:
    """The last linear layer, which gives the logits; raises ValueError if there is none."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(
            f"head_l2 is set, but {type(model).__name__} has no linear layer; leave head_l2 at 0."
        )
    return linear[-1]
