"""Processes of a test's own, there at once: forks of one that has used everything (`warm`)."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from typing import TypeVar

SECONDS = 60  # for what takes a second
CONTEXT = multiprocessing.get_context("forkserver")

Answer = TypeVar("Answer")


def begin(function: Callable[..., None], *given: object) -> ForkServerProcess:
    """Start a function in a process, which does not outlive this one."""
    CONTEXT.set_forkserver_preload(["tests.warm"])  # if there is no such server yet
    process = CONTEXT.Process(target=function, args=given, daemon=True)
    process.start()
    return process


def at_once(function: Callable[..., Answer], *arguments: tuple[object, ...]) -> list[Answer]:
    """What a function returns in a process for each tuple of arguments, all let go together."""
    together = CONTEXT.Barrier(len(arguments))
    running = []
    for given in arguments:
        ours, theirs = CONTEXT.Pipe(duplex=False)
        running.append((begin(_answer, theirs, together, function, given), ours))
        theirs.close()
    answers = [ours.recv() for _, ours in running]  # EOFError after a traceback: it failed
    for process, ours in running:
        process.join()
        ours.close()
    return answers


def _answer(
    connection: Connection,
    together: Barrier,
    function: Callable[..., object],
    given: tuple[object, ...],
) -> None:
    together.wait(SECONDS)
    connection.send(function(*given))
    connection.close()
