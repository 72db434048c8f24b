"""Operations as a CUDA graph: captured once, replayed by one launch.

A small network's step is bound by its hundreds of launches, not by the GPU's work.  The calls and
their order are those of a sketch that was measured on one GPU (H200, torch 2.11, CUDA 13): weights
equal those of the operations run one by one, to the bit.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

WARM_UPS = 3  # libraries choose algorithms and allocate workspaces before the capture

Call = Callable[[], None]


class Draws:
    """A CUDA generator of one training, which its graph and its other operations draw from.

    On other devices everything draws from torch's default generator.
    """

    def __init__(self, device: str) -> None:
        self._default: torch.Generator | None = None
        if device.startswith("cuda"):
            index = torch.device(device).index
            index = torch.cuda.current_device() if index is None else index
            self._default = torch.cuda.default_generators[index]
            self._generator = self._default.clone_state()

    def seed(self, key: int) -> None:
        """Begin to draw anew; a graph that was captured goes on from here."""
        if self._default is None:
            torch.manual_seed(key)
        else:
            self._generator.manual_seed(key)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within, operations draw from this generator."""
        if self._default is None:
            yield
            return
        before = self._default.graphsafe_get_state()
        self._default.graphsafe_set_state(self._generator)
        try:
            yield
        finally:
            self._default.graphsafe_set_state(before)


def captured(operations: Call, changed: Callable[[], Iterable[Tensor]], device: str) -> Call:
    """A call that repeats the operations on the current stream; nothing is changed by making it.

    `changed` gives the tensors that the operations change.  Raises RuntimeError if the operations
    cannot be captured.  Where there are no graphs (tests on a CPU) the call is `operations`.
    """
    if not device.startswith("cuda"):
        _warm_up(operations, changed)
        return operations
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())  # which may still write the inputs
        with torch.cuda.stream(stream):
            _warm_up(operations, changed)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            operations()
        torch.cuda.synchronize()

    def replay() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return replay


def compiled(network: nn.Module) -> nn.Module:
    """The network, which the first forward pass compiles; last bits differ from the network's own.

    They depend on network and batch alone: earlier compilations are forgotten (the compiler's files
    are not), and no kernel is chosen by its speed.  Of a network that cannot be compiled as one
    graph the first pass raises RuntimeError.
    """
    torch.compiler.reset()
    options: dict[str, str | int | bool | Callable[..., object]] = {"deterministic": True}
    made = torch.compile(network, fullgraph=True, dynamic=False, options=options)
    return cast(nn.Module, made)  # torch declares a function


def _warm_up(operations: Call, changed: Callable[[], Iterable[Tensor]]) -> None:
    """Run the operations, then put back what they changed.  Tensors that they made, the moments of
    an optimizer's first step, become zero, as if made by that step."""
    values = [(tensor, tensor.detach().clone()) for tensor in changed()]
    existed = {id(tensor) for tensor, _ in values}
    for _ in range(WARM_UPS):
        operations()
    with torch.no_grad():
        for tensor, value in values:
            tensor.copy_(value)
        for tensor in changed():
            if id(tensor) not in existed:
                tensor.zero_()
