"""How workers share trials, and one machine's cores and accelerators."""

import torch

from fashion_hpo.training.cores import asked_threads, usable_cores


def shares(count: int, max_trials: int | None) -> list[int | None]:
    """Divide `max_trials` among at most `count` workers, at least one each; None is no limit."""
    if max_trials is None:
        return [None] * count
    count = min(count, max_trials)
    return [max_trials // count + (number < max_trials % count) for number in range(count)]


def threads_for(count: int, device: str) -> int | None:
    """Threads per trial of a new ledger: the cores divided by workers; None is the default."""
    if count == 1 or accelerators(device) or asked_threads():
        return None
    return max(1, usable_cores() // count)


def crowding(count: int, threads: int, device: str) -> str:
    """A warning, the end of a sentence, if the workers need more cores than there are."""
    cores = usable_cores()
    if accelerators(device) or count * threads <= cores:
        return ""
    return (
        f", which share {cores} core(s) at {threads} threads a trial and will be slow: a study "
        "keeps the threads it was begun with (the same command with --revise begins anew)"
    )


def accelerators(device: str) -> list[str]:
    """The accelerators that the workers take in turn; empty if they share the CPU's cores."""
    if device in ("auto", "cuda") and (count := torch.cuda.device_count()):
        return [f"cuda:{index}" for index in range(count)]
    if device == "auto":
        return ["mps"] if torch.backends.mps.is_available() else []
    return [] if device == "cpu" else [device]


def device_of(number: int, device: str) -> str:
    """A worker's device: the accelerators in turn, or `device` if there are none."""
    devices = accelerators(device)
    return devices[number % len(devices)] if devices else device
