"""torch's optimizers without torch._dynamo.

torch keeps their methods out of what it compiles, and imports torch._dynamo for that at their first
call: seconds before the first epoch.  This project compiles no optimizer, only networks.
"""

import inspect
from typing import TypeVar

import torch
from torch import optim

Kind = TypeVar("Kind", bound=optim.Optimizer)


def _uncompiled(kind: type[Kind]) -> type[Kind]:
    """A kind of optimizer whose methods are those beneath torch's wrappers."""
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # the wrapper switches gradients off too
    return type(kind.__name__, (kind,), {**methods, "step": step})


SGD, Adam, AdamW = _uncompiled(optim.SGD), _uncompiled(optim.Adam), _uncompiled(optim.AdamW)
