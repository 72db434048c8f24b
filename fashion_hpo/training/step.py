"""One optimizer step of one training."""

from collections.abc import Iterable

import torch
from torch import Tensor

from fashion_hpo.training.augment import Batch
from fashion_hpo.training.penalties import logits_and_penalty
from fashion_hpo.training.state import TrainingState


class Step:
    """Makes the optimizer steps of one epoch; only `summed_loss` waits for the device.

    Each call runs the network's operations one by one (eager), on every device.  A captured step
    would take the place of `__call__`: batches, rate and λ would be written into its own tensors.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._total = torch.zeros((), device=state.hardware.device)

    def __call__(self, batches: Iterable[Batch], rate: float, images: int) -> None:
        """Step by the mean gradient of the batches' `images` images."""
        optimizer = self._state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            self._total += self._backward(batch, images)
        optimizer.step()

    def summed_loss(self) -> float:
        """The sum of all images' losses, without penalties, read from the device."""
        return float(self._total)

    def _backward(self, batch: Batch, in_step: int) -> Tensor:
        """Add the batch's gradients and return its summed loss.

        With a micro-batch, the batch is split evenly into pieces of at most that size.  Loss and
        penalty of a piece are weighted by its share of the step's images.
        """
        config, hardware, model = self._state.config, self._state.hardware, self._state.model
        total = torch.zeros((), device=hardware.device)
        count = -(-len(batch) // (hardware.micro_batch or len(batch)))
        for piece in batch.pieces(count):
            with hardware.autocast():
                logits, penalty = logits_and_penalty(model, piece.pixels, config.head_l2)
            loss = piece.loss(logits.float(), config.label_smoothing)
            whole = loss if penalty is None else loss + penalty
            (whole * (len(piece) / in_step)).backward()
            total += loss.detach() * len(piece)
        return total
