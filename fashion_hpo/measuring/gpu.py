"""Images that one GPU trains per second, by our trainer and by usual loops; needs torch alone.

The images are random: no speed depends on them, and a bare GPU machine has no data.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.architectures import build_for, without_backbone
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.evaluate import normalise
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.streams import stream
from fashion_hpo.training.train import train

BATCH = 128
WARM_UP = 3  # steps; the first captures


@dataclass(frozen=True)
class Extent:
    """How much is measured; after `seconds` no further measurement begins."""

    networks: tuple[str, ...]
    side_by_side: tuple[int, ...]
    compiled: tuple[int, ...]  # the same of compiled networks, of the first network alone
    steps: int
    loaders: int  # processes of the usual loop
    seconds: float


WHOLE = Extent(("cnn", "optimized_cnn", "resnet9", "vit"), (1, 4, 16, 32), (1, 16), 100, 2, 200)
SMALL = Extent(("cnn",), (1, 2), (), 2, 0, 60)


@dataclass(frozen=True)
class Speed:
    """Images a second of all trainings together; None, with the reason, if not measured."""

    network: str
    way: str
    images_per_second: float | None
    reason: str = ""


def measure(hardware: Hardware, extent: Extent) -> Iterator[Speed]:
    """The speed of each network in each way."""
    began = time.perf_counter()
    splits = random_splits(BATCH * (WARM_UP + extent.steps + 1))
    for network in extent.networks:
        config = TrainConfig(
            architecture=network,
            batch_size=BATCH,
            dropout=0.2,
            epochs=1,
            train_images=len(splits.train),
        )
        for way, measured in _ways(config, splits, hardware, extent):
            if time.perf_counter() - began > extent.seconds:
                yield Speed(network, way, None, "the time was over")
                continue
            try:
                yield Speed(network, way, measured())
            except torch.OutOfMemoryError:
                yield Speed(network, way, None, "the memory was too small")


def _ways(
    config: TrainConfig, splits: SearchSplits, hardware: Hardware, extent: Extent
) -> Iterator[tuple[str, Callable[[], float]]]:
    if config.architecture == extent.networks[0]:
        usual = partial(usual_loop, config, splits, hardware, extent)
        yield "usual loop: DataLoader, float32", usual
    yield (
        "tuned loop: resident images, eager",
        partial(tuned_loop, config, splits, hardware, extent.steps),
    )
    eager = replace(hardware, step="eager")
    yield "ours, eager", partial(ours, config, splits, eager, 1, extent.steps)
    for count in extent.side_by_side:
        yield (
            f"ours, {count} side by side",
            partial(ours, config, splits, hardware, count, extent.steps),
        )
    compiled = replace(hardware, step="compiled")
    for count in extent.compiled if config.architecture == extent.networks[0] else ():
        yield (
            f"ours, {count} side by side, compiled",
            partial(ours, config, splits, compiled, count, extent.steps),
        )


def images_per_second(config: TrainConfig, hardware: Hardware, count: int, steps: int) -> float:
    """Images a second of so many trainings of a config, side by side."""
    splits = random_splits(config.batch_size * config.accumulation * (WARM_UP + steps + 1))
    short = without_backbone(config).replace(
        epochs=1,
        warmup_epochs=0.0,
        train_images=len(splits.train),
        fold=0,
    )
    return ours(short, splits, hardware, count, steps)


def ours(
    config: TrainConfig, splits: SearchSplits, hardware: Hardware, count: int, steps: int
) -> float:
    """Trainings in turn, each on a stream of its own."""
    states = [
        TrainingState(config, build_for(config.replace(seed=seed)), hardware)
        for seed in range(count)
    ]
    splits.on(hardware.device)
    trainings = [train(state, splits) for state in states]
    streams = [stream(hardware.device) for _ in states]
    _wait(hardware)  # until all is uploaded, which happens on the usual stream

    def step() -> None:
        for training, own_stream in zip(trainings, streams, strict=True):
            with own_stream:
                next(training)

    with ExitStack() as stack:
        for training in trainings:
            stack.callback(training.close)  # type: ignore[attr-defined]
        images = config.batch_size * config.accumulation * count
        return _images_per_second(step, steps, images, hardware)


def tuned_loop(config: TrainConfig, splits: SearchSplits, hardware: Hardware, steps: int) -> float:
    """A loop over resident images at the hardware's precision, with a fused optimizer."""
    network = build_for(config).to(hardware.device).to(memory_format=hardware.memory_format)
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate, fused=True)
    resident = splits.on(hardware.device).train
    batches = iter(torch.randperm(len(resident), device=hardware.device).split(BATCH))

    def step() -> None:
        chosen = next(batches)
        images = resident.images.index_select(0, chosen)
        with hardware.autocast():
            logits = network(normalise(images, config.pixel_range, hardware))
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(logits.float(), resident.labels[chosen]).backward()
        optimizer.step()

    return _images_per_second(step, steps, BATCH, hardware)


def usual_loop(
    config: TrainConfig, splits: SearchSplits, hardware: Hardware, extent: Extent
) -> float:
    """A DataLoader that makes one image at a time, float32, the loss read at every step."""
    network = build_for(config).to(hardware.device)
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate)
    loader = DataLoader(OneByOne(splits.train), BATCH, shuffle=True, num_workers=extent.loaders)
    batches = iter(loader)

    def step() -> None:
        images, labels = (values.to(hardware.device) for values in next(batches))
        optimizer.zero_grad()
        loss = cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    return _images_per_second(step, extent.steps, BATCH, hardware)


class OneByOne(Dataset[tuple[Tensor, int]]):
    """A split's images, one by one."""

    def __init__(self, split: Split) -> None:
        self.images, self.labels = split.images, split.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index].unsqueeze(0) / 255, self.labels[index]


def random_splits(images: int) -> SearchSplits:
    """Noise with random labels."""
    draw = torch.Generator().manual_seed(0)
    train, val = (
        Split(
            torch.randint(256, (count, 28, 28), dtype=torch.uint8, generator=draw),
            torch.randint(10, (count,), generator=draw),
        )
        for count in (images, 10)
    )
    return SearchSplits(train, val, data_hash="random")


def _images_per_second(
    step: Callable[[], None], steps: int, images: int, hardware: Hardware
) -> float:
    for _ in range(WARM_UP):
        step()
    _wait(hardware)
    began = time.perf_counter()
    for _ in range(steps):
        step()
    _wait(hardware)
    return steps * images / (time.perf_counter() - began)


def _wait(hardware: Hardware) -> None:
    if _is_gpu(hardware):
        torch.cuda.synchronize()


def _is_gpu(hardware: Hardware) -> bool:
    return hardware.device_type == "cuda"
