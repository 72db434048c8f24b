"""What is added to the loss beside the cross entropy.

A module that penalises something sets its attribute `penalty` in every forward pass in training
mode: a scalar, its weight included, that is a mean over the images that passed.  Then the gradient
of a step does not depend on the pieces in which its images pass.
"""

import torch
from torch import Tensor, nn


def take(model: nn.Module, head_l2: float) -> Tensor | None:
    """The sum of the modules' penalties and of λ·‖W‖² on the head's weights; None without any.

    The modules' own are taken away, so that no graph outlives its step.
    """
    found = []
    for module in model.modules():
        penalty = getattr(module, "penalty", None)
        if isinstance(penalty, Tensor):
            found.append(penalty.float())
            module.penalty = None  # type: ignore[assignment]
    if head_l2:
        found.append(head_l2 * head(model).weight.float().square().sum())
    return torch.stack(found).sum() if found else None


def head(model: nn.Module) -> nn.Linear:
    """The last linear layer, which gives the logits; raises ValueError where there is none."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(
            f"head_l2 is set, and {type(model).__name__} has no linear layer; leave it at 0."
        )
    return linear[-1]
