"""One optimizer step of one training."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from fashion_hpo.training import memory
from fashion_hpo.training.augment import Batch
from fashion_hpo.training.graph import Draws, captured, compiled
from fashion_hpo.training.penalties import Penalised, logits_and_penalty
from fashion_hpo.training.randomness import key, seed_default_generator
from fashion_hpo.training.state import TrainingState


def step_of(state: TrainingState) -> "Step":
    """The step that the state's hardware asks for."""
    return CapturedStep(state) if state.hardware.captures else Step(state)


class Step:
    """Makes the optimizer steps of one training, operation by operation; waits for no device.

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
        for group in self._state.optimizer.param_groups:
            group["lr"] = rate
        self.operations(self._state.model, batches, images)

    def operations(self, network: nn.Module, batches: Iterable[Batch], images: int) -> None:
        """All operations of a step, but for the rate."""
        optimizer = self._state.optimizer
        optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            self.summed_loss += self._backward(network, batch, images)
        optimizer.step()

    def _backward(self, network: nn.Module, batch: Batch, in_step: int) -> Tensor:
        """Add the batch's gradients and return its summed loss.

        With a micro-batch, the batch is split evenly into pieces of at most that size.  Loss and
        penalty of a piece are weighted by its share of the step's images.
        """
        config, hardware = self._state.config, self._state.hardware
        total = torch.zeros((), device=hardware.device)
        count = -(-len(batch) // (hardware.micro_batch or len(batch)))
        for piece in batch.pieces(count):
            with hardware.autocast():
                logits, penalty = logits_and_penalty(
                    network, piece.pixels, config.head_l2, config.head_l2_layers
                )
            loss = piece.loss(logits.float(), config.label_smoothing)
            whole = loss if penalty is None else loss + penalty
            (whole * (len(piece) / in_step)).backward()
            total += loss.detach() * len(piece)
        return total


class CapturedStep(Step):
    """Makes the steps of one training from a CUDA graph of the first step's operations.

    The graph reads batch, λ and rate from tensors of its own.  A step of other sizes than the
    first, that of an epoch's last images, runs operation by operation, to the same bits as if
    captured.  So do all steps if the operations cannot be captured; `state.not_captured` says why.
    A compiled network is only in the graph; without it, `state.not_compiled` says why.
    """

    def __init__(self, state: TrainingState) -> None:
        super().__init__(state)
        self._rate: Tensor = state.optimizer.param_groups[0]["lr"]  # of all groups
        self._draws = Draws(state.hardware.device)
        self._key = 0
        self._inputs: list[Batch] = []
        self._replay: Callable[[], None] | None = None

    def begin(self, epoch: int) -> None:
        """Begin an epoch: its sum, and its draws of dropout."""
        super().begin(epoch)
        self._key = key(self._state.config.seed, "dropout", epoch)
        self._draws.seed(self._key)

    def __call__(self, batches: Iterable[Batch], rate: float, images: int) -> None:
        """Step by the mean gradient of the batches' `images` images."""
        inputs = [batch.with_shares() for batch in batches]
        self._rate.fill_(rate)
        if not self._inputs:
            self._capture(inputs, images)
        if self._replay is None or [*map(len, inputs)] != [*map(len, self._inputs)]:
            with self._draws.used():
                self.operations(self._state.model, inputs, images)
            return
        for captured_input, batch in zip(self._inputs, inputs, strict=True):
            captured_input.copy_(batch)
        self._replay()

    def operations(self, network: nn.Module, batches: Iterable[Batch], images: int) -> None:
        """All operations of a step, but for the rate."""
        with warnings.catch_warnings():
            # torch advises against `capturable` where a step, such as the warm-up, is not captured
            warnings.filterwarnings("ignore", ".*capturable=True")
            super().operations(network, batches, images)

    def _capture(self, inputs: list[Batch], images: int) -> None:
        state = self._state
        self._inputs = [batch.clone() for batch in inputs]
        if state.hardware.step == "compiled" and isinstance(state.model, Penalised):
            state.not_compiled = "its penalty is computed beside the forward pass"
        elif state.hardware.step == "compiled":
            state.not_compiled = self._capture_of(compiled(state.model), images)
        if self._replay is None:
            state.not_captured = self._capture_of(state.model, images)
        self._draws.seed(self._key)  # the capture drew

    def _capture_of(self, network: nn.Module, images: int) -> str:
        """Capture the operations with this network; returns why they cannot be, or ""."""
        operations = partial(self.operations, network, self._inputs, images)
        device = self._state.hardware.device
        try:
            with self._draws.used():
                self._replay = captured(operations, self._changed, device)
        except RuntimeError as error:  # torch's, for whatever a graph cannot hold
            if memory.is_exhausted(error):
                raise
            self._draws = Draws(device)  # the old one awaits the capture's end
            return f"{type(error).__name__}: {error}".splitlines()[0]
        return ""

    def _changed(self) -> Iterator[Tensor]:
        """What a step changes, on the device."""
        state = self._state
        yield from state.model.parameters()
        yield from state.model.buffers()
        yield self.summed_loss
        for moments in state.optimizer.state.values():
            yield from (value for value in moments.values() if isinstance(value, Tensor))
