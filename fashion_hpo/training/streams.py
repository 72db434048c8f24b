"""Streams of a GPU: trainings whose operations wait in queues of their own run at the same time."""

from contextlib import AbstractContextManager, nullcontext

import torch


def stream(device: str) -> AbstractContextManager[object]:
    """A new stream; within the context, which may be entered again, operations are queued there.

    Devices other than CUDA have none: the context does nothing.
    """
    if not device.startswith("cuda"):
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))
