"""The trainer: one config, one network, a generator of epochs."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.training import augment, energy
from fashion_hpo.training.augment import Batch
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.evaluate import logits_of, normalise, score
from fashion_hpo.training.randomness import (
    default_states,
    restore_default_states,
    torch_generator,
)
from fashion_hpo.training.schedules import learning_rate
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.step import Step, step_of

TRAIN_EVAL_IMAGES = 5_000
"""Size of the fixed sample of training images for the training loss in evaluation mode."""

PREPARED_TOGETHER = 2_048
"""Images that are augmented and normalised at once, for several batches: each operation has a fixed
cost.  RandAugment is 2.6 times as fast as batch by batch (128)."""


def train(
    state: TrainingState, splits: SearchSplits, *, images: Split | None = None
) -> Iterator[Epoch | None]:
    """Train the state's model in place; yield None after each optimizer step, and an `Epoch` after
    each pass.  Stop by leaving the loop.  Side by side on a GPU, None is also yielded while the
    device has not done an epoch's last work yet.

    Several trainings may take turns in one process, after any yield: each equals itself alone to
    the bit.  Read the state at an `Epoch`, for checkpoints; a state that was loaded is resumed.  On
    the CPU a resumed training equals the uninterrupted one to the bit.  Under early stopping the
    model ends with its best weights.  `images` replaces the training split's first
    `config.train_images`, for training the winner again on more images.
    """
    config, model, hardware = state.config, state.model, state.hardware
    splits = splits.of(config.fold)
    turn = Turn(hardware)
    torch.set_num_threads(hardware.threads)
    resident = splits.on(hardware.device)
    if images is None:
        images = resident.train.first(config.train_images)
    images = images.to(hardware.device)
    sample = images.first(TRAIN_EVAL_IMAGES)
    val = resident.val
    step = step_of(state)
    while not state.finished:
        number = len(state.history) + 1
        began, before = turn.seconds(), energy.read(hardware.device)
        trained_images, rate = yield from _one_pass(state, step, images, number, turn)
        seconds_trained = turn.seconds_when_done()
        on_train = score(logits_of(model, sample, config.pixel_range, hardware), sample.labels)
        on_val = score(logits_of(model, val, config.pixel_range, hardware), val.labels)
        sums = torch.stack((step.summed_loss, *on_train, *on_val))
        yield from turn.until_done()
        trained = seconds_trained()
        # the only time in an epoch that the host reads from the device
        summed_loss, train_eval_loss, train_eval_accuracy, val_loss, val_accuracy = sums.tolist()
        epoch = Epoch(
            epoch=number,
            train_loss=summed_loss / trained_images,
            train_eval_loss=train_eval_loss,
            train_eval_accuracy=train_eval_accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=rate,
            seconds=turn.seconds() - began,
            images_per_second=len(images) / (trained - began),
            timestamp=time.time_ns() // 1_000_000,
        )
        state.record(epoch, energy.joules(before, energy.read(hardware.device)))
        with turn.passed():
            yield epoch
    state.restore_best_weights()


def epochs_of(training: Iterable[Epoch | None]) -> Iterator[Epoch]:
    """The epochs of a training that takes no turns with others."""
    return (epoch for epoch in training if epoch is not None)


class Turn:
    """A training's turn among those of one process: keeps what they share, and measures time."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._passed_seconds = 0.0

    def seconds(self) -> float:
        """Seconds since an unknown start, without those of other trainings' turns."""
        return time.perf_counter() - self._passed_seconds

    def seconds_when_done(self) -> Callable[[], float]:
        """A call that waits until the device has done what it was asked to by now, and returns
        `seconds` then."""
        if self._hardware.device_type not in ("cuda", "mps"):
            done = self.seconds()
            return lambda: done
        event = torch.Event(self._hardware.device)
        event.record()

        def waited() -> float:
            event.synchronize()
            return self.seconds()

        return waited

    def until_done(self) -> Iterator[None]:
        """Pass the turn until the device has done what it was asked to by now.

        Waiting here would hold up the others.  A training that has no others, or no GPU, waits
        where it reads.
        """
        if self._hardware.device_type != "cuda" or not self._hardware.side_by_side:
            return
        event = torch.Event(self._hardware.device)
        event.record()
        while not event.query():
            with self.passed():
                yield

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Within, other trainings may change the default generators and the number of threads."""
        states, began = default_states(self._hardware.device), time.perf_counter()
        yield
        self._passed_seconds += time.perf_counter() - began
        restore_default_states(self._hardware.device, states)
        if torch.get_num_threads() != self._hardware.threads:
            torch.set_num_threads(self._hardware.threads)


def _one_pass(
    state: TrainingState, step: Step, images: Split, number: int, turn: Turn
) -> Generator[None, None, tuple[int, float]]:
    """One epoch; yields after each optimizer step, returns the number of images trained on and the
    last learning rate."""
    config, hardware = state.config, state.hardware
    state.model.train()
    step.begin(number)
    orders = _orders(config, len(images), number)
    batches = _batches(config, images, orders, hardware, number)
    steps = -(-len(orders) // config.accumulation)
    rate = config.learning_rate
    for done in range(steps):
        rate = learning_rate(config, (number - 1) * steps + done, steps)
        first = done * config.accumulation
        in_step = sum(map(len, orders[first : first + config.accumulation]))
        step(islice(batches, config.accumulation), rate, in_step)
        with turn.passed():
            yield
    return sum(map(len, orders)), rate


def _orders(config: TrainConfig, images: int, number: int) -> tuple[Tensor, ...]:
    """The epoch's random order of the images, cut into batches.

    A last batch of one image is left out of the epoch: batch norm needs two images.
    """
    order = torch.randperm(images, generator=torch_generator(config.seed, "order", number))
    orders: tuple[Tensor, ...] = order.split(config.batch_size)
    return orders if len(orders[-1]) > 1 else orders[:-1]


def _batches(
    config: TrainConfig,
    images: Split,
    orders: tuple[Tensor, ...],
    hardware: Hardware,
    number: int,
) -> Iterator[Batch]:
    """The epoch's batches: augmented, normalised, mixed.

    Order and draws are uploaded before the first batch; nothing is read from the device.
    """
    device = hardware.device
    steps = augment.steps(config, len(images), number, device)
    mixing = augment.Mixing(config, len(images), len(orders), number, device)
    rows = augment.rows_of(torch.cat(orders), device)
    together = max(1, PREPARED_TOGETHER // config.batch_size)
    for first in range(0, len(orders), together):
        sizes = [len(order) for order in orders[first : first + together]]
        begin = first * config.batch_size
        chosen = rows.part(begin, begin + sum(sizes))
        raw = images.images.index_select(0, chosen.device)
        for step in steps:
            raw = augment.apply(step, raw, chosen)
        pixels = normalise(raw, config.pixel_range, hardware).split(sizes)
        labels = images.labels[chosen.device].split(sizes)
        for place, (some_pixels, some_labels) in enumerate(zip(pixels, labels, strict=True)):
            begin = (first + place) * config.batch_size
            own = rows.part(begin, begin + len(some_labels))
            yield mixing(some_pixels, some_labels, own, first + place)
