"""One optimizer step of one training."""

from collections.abc import Iterable

import torch
from torch import Tensor

from fashion_hpo.training.augment import Batch
from fashion_hpo.training.penalties import logits_and_penalty
from fashion_hpo.training.randomness import seed_default_generator
from fashion_hpo.training.state import TrainingState


class Step:
    """Makes the optimizer steps of one training; waits for no device.

    `summed_loss` is the sum of the losses, without penalties, of an epoch's images so far: a scalar
    on the device.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self.summed_loss = torch.zeros((), device=state.hardware.device)

    def begin(self, epoch: int) -> None:
        """Begin an epoch: its sum, and its draws of dropout."""
        self.summed_loss.zero_()
        seed_default_generator(self._state.config.seed, "dropout", epoch)

    def __call__(self, batches: Iterable[Batch], rate: float, images: int) -> None:
        """Step by the mean gradient of the batches' `images` images."""
        optimizer = self._state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            self.summed_loss += self._backward(batch, images)
        optimizer.step()

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
