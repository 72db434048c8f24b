"""The served model: raw uint8 images to probabilities, in evaluation mode."""

import copy
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fashion_hpo.design.config import PixelRange
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo
from fashion_hpo.training.evaluate import with_channels

PROOF_BATCHES = (1, 7, 512)
"""Batch sizes at which the reloaded model is compared with the measured one."""

PASSED_TWICE = 64
"""Images at most that pass twice, to see whether dropout is on: it changes any of them."""

WARM_UP = 5  # passes


class ServedClassifier(nn.Module):
    """uint8 (N, 28, 28), or (N, 3, 28, 28) in colour, to probabilities float32 (N, classes);
    includes the preprocessing.

    On a CPU `cnn` takes about half of the time with the channels last.  The last bits of its
    probabilities depend on the memory format.
    """

    def __init__(
        self, network: nn.Module, pixel_range: PixelRange, *, channels_last: bool = True
    ) -> None:
        super().__init__()
        self.network = network
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.scale, self.shift = (1 / 255, 0.0) if pixel_range == "unit" else (2 / 255, -1.0)

    def forward(self, images: Tensor) -> Tensor:
        """Scale the pixels, run the network and take the softmax."""
        pixels = with_channels(images).to(torch.float32, memory_format=self.format)
        pixels = pixels * self.scale + self.shift
        return torch.softmax(self.network(pixels), dim=1)


def served(
    network: nn.Module, pixel_range: PixelRange, *, channels_last: bool = True
) -> ServedClassifier:
    """A float32 CPU copy in evaluation mode; an export in training mode would keep dropout on.

    The weights are made contiguous: an archive of channels-last weights loads with warnings.
    Dropout's rates, without effect in evaluation mode, become 0: networks that differ in them alone
    have the same program.
    """
    copied = copy.deepcopy(network).to("cpu", torch.float32)
    copied = copied.to(memory_format=torch.contiguous_format)
    for layer in copied.modules():
        if isinstance(layer, nn.Dropout | nn.Dropout2d):
            layer.p = 0.0
    return ServedClassifier(copied, pixel_range, channels_last=channels_last).eval()


@torch.no_grad()
def probabilities_of(model: nn.Module, images: Tensor, batch: int = 500) -> np.ndarray:
    """Probabilities float32 (N, classes) of raw images uint8 (N, 28, 28) or (N, 3, 28, 28)."""
    return np.concatenate([model(part).numpy() for part in images.split(batch)])


@torch.no_grad()
def differences(
    reloaded: nn.Module, measured: nn.Module, images: Tensor, batches: Sequence[int] = PROOF_BATCHES
) -> list[str]:
    """How the reloaded model differs from the measured one; empty if they are the same.

    Compares the outputs at each batch size, to 1e-5, and two passes over the same few images, which
    differ if dropout is on.
    """
    problems = []
    for batch in batches:
        part = images[:batch]
        try:
            outputs = reloaded(part)
        except (RuntimeError, AssertionError, ValueError) as error:
            problems.append(f"batch {batch} fails ({str(error).splitlines()[0]})")
            continue
        if batch <= PASSED_TWICE and not torch.equal(outputs, reloaded(part)):
            problems.append(f"two passes over the same {batch} images differ: dropout is on")
        elif not torch.allclose(outputs, measured(part), atol=1e-5):
            gap = float((outputs - measured(part)).abs().max())
            problems.append(f"outputs at batch {batch} differ by up to {gap:.2g}")
    return problems


@torch.no_grad()
def latency(model: nn.Module, repeats: int = 50, info: DataInfo = FASHION_MNIST) -> float:
    """Milliseconds a served model takes for one image on this CPU: the median of `repeats` passes
    after a warm-up."""
    image = torch.zeros(1, *info.image_shape, dtype=torch.uint8)
    passes = []
    for _ in range(WARM_UP + repeats):
        began = time.perf_counter()
        model(image)
        passes.append(time.perf_counter() - began)
    return 1000 * statistics.median(passes[WARM_UP:])


def flops(network: nn.Module, info: DataInfo = FASHION_MNIST) -> int:
    """Floating-point operations of one image's forward pass (a multiply-add counts as two)."""
    from torch.utils.flop_counter import FlopCounterMode  # slow: imports Triton

    was_training = network.training
    network.eval()
    image = torch.zeros(1, info.channels, 28, 28, device=next(network.parameters()).device)
    # With gradients: the counter cannot track views of a parameter that were made without.
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        network(image)
    network.train(was_training)
    return int(counter.get_total_flops())
