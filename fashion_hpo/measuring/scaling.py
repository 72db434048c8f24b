"""Measure how many workers are fastest here, and how many trials at once in each on a GPU."""

import statistics
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.data_set import DataSet
from fashion_hpo.design.plan import Plan
from fashion_hpo.engines.sharing import accelerators
from fashion_hpo.measuring import gpu, room
from fashion_hpo.measuring.estimate import architectures_of
from fashion_hpo.running import processes
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import read_ledger
from fashion_hpo.training import devices
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.cores import asked_threads, usable_cores
from fashion_hpo.training.data import SearchSplits, load_or_download
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train

REPEATS = 5  # interleaved; the first is a warm-up
SECONDS = 1.5  # of training in a repeat
WORTH_IT = 1.05  # for a smaller gain one worker is enough: less memory
START_SECONDS = 5.0  # that several workers take longer to start: each has a slow first trial

AT_ONCE = (1, 2, 4, 8, 16, 32)  # trials in a worker
FASTER = 1.1  # by which a larger number must be, for its memory
STEPS = 50  # of each trial in a measurement

_barrier: Barrier | None = None  # set in each process of the pool
_splits: SearchSplits | None = None


def fastest(
    store: Store, plan: Plan, data: Path | DataSet | None, device: str, *, revise: bool = False
) -> tuple[int, str]:
    """The number of workers to start, and the reason, as the end of a sentence."""
    if devices_here := accelerators(device):
        return len(devices_here), ", one for each accelerator"
    cores = usable_cores()
    ledger = None if revise else read_ledger(store, plan)
    threads = asked_threads() if ledger is None else ledger.threads
    if threads is not None:
        count = max(1, cores // threads)
        return count, f", because its trials have {threads} thread(s) each on {cores} core(s)"
    if cores == 1:
        return 1, ", for one core"
    one, many = images_per_second(plan.base, cores, data)
    speeds = f"{many:,.0f} images/s with {cores} of one thread each, {one:,.0f} with one of {cores}"
    saved = plan.image_passes * (1 / one - 1 / many)
    if many > WORTH_IT * one and saved < START_SECONDS:
        return 1, f" ({speeds}, measured: {saved:.0f} s less, and starting them takes longer)"
    return (cores if many > WORTH_IT * one else 1), f" ({speeds}, measured)"


def side_by_side(plan: Plan, hardware: Hardware, workers: int) -> tuple[int, str]:
    """How many trials a worker should train at once, and a line with the speeds measured.

    More than one only where steps are captured, and where the memory has room.
    """
    networks = architectures_of(plan)
    if not hardware.captures or not networks:
        return 1, ""
    most = room.fitting(plan, room.free_bytes(hardware.device))
    config = plan.base.replace(architecture=networks[0])
    speeds: dict[int, float] = {}
    best = 1
    for number in (n for n in AT_ONCE if most is None or n * workers <= most):
        try:
            speeds[number] = gpu.images_per_second(config, hardware, number, STEPS)
        except torch.OutOfMemoryError:
            break
        if number > 1 and speeds[number] < FASTER * speeds[best]:
            break
        best = number
    measured = ", ".join(f"{number}: {speed:,.0f}" for number, speed in speeds.items())
    return best, f"images/s by the number of trials side by side, measured: {measured}"


def images_per_second(
    config: TrainConfig, cores: int, data: Path | DataSet | None
) -> tuple[float, float]:
    """Images trained per second by one worker with all cores, and by one worker per core."""
    load_or_download(data)  # here, because a pool restarts workers that fail to start for ever
    context = processes.context()
    barrier = context.Barrier(cores)
    one, many = [], []
    with context.Pool(cores, _prepare, (barrier, data)) as pool:
        images = min(256, config.train_images)
        for _ in range(REPEATS):
            alone = pool.apply(_train, (config, images, cores, False))
            together = pool.starmap(_train, [(config, images, 1, True)] * cores, chunksize=1)
            one.append(alone)
            many.append(sum(together))
            images = min(int(alone * SECONDS), config.train_images)
    return statistics.median(one[1:]), statistics.median(many[1:])


def _prepare(barrier: Barrier, data: Path | DataSet | None) -> None:
    global _barrier, _splits
    _barrier, _splits = barrier, load_or_download(data)


def _train(config: TrainConfig, images: int, threads: int, together: bool) -> float:
    """Images per second of one short epoch; with `together`, all workers start at once."""
    assert _barrier is not None
    assert _splits is not None
    size = max(config.batch_size, images)
    short = config.replace(epochs=1, train_images=size)
    hardware = devices.choose("cpu", threads=threads).at(config)
    state = TrainingState(short, build_for(short, info=_splits.info), hardware)
    if together:
        _barrier.wait()
    (epoch,) = epochs_of(train(state, _splits))
    return epoch.images_per_second
