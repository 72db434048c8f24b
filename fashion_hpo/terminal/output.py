"""Standard output and error that cannot fail a command.

A study trains for hours and prints a line now and then: a full disk under its log, a terminal
without block characters or a closed standard output must not fail a trial.  Only a closed pipe
(`study … | head -1`) ends the command, because nobody reads the rest.
"""

import codecs
import io
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CLOSED_PIPE = 128 + signal.SIGPIPE  # the exit code of a program after SIGPIPE
PLAIN = "plain"
LOOKALIKES = str.maketrans(
    {**dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True)), "…": "...", "–": "-", "−": "-", "→": "->",
     "×": "x"}
)  # fmt: skip


class ClosedOutputError(BrokenPipeError):
    """Nobody reads standard output any more."""


class _Output(io.FileIO):
    """A file whose failed writes are ignored.

    The first write to a pipe without a reader raises ClosedOutputError.
    """

    def __init__(self, number: int, *, needs_reader: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._needs_reader = needs_reader

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            while (written := super().write(data)) is None:  # of a terminal that does not block
                select.select((), (self,), ())
            return written
        except BrokenPipeError:
            if self._needs_reader:
                self._needs_reader = False
                raise ClosedOutputError from None
        except OSError:  # a full disk, a terminal that was hung up
            pass
        return memoryview(data).nbytes


def guarded(call: Callable[[], int]) -> int:
    """Call with protected output; returns the call's exit code, or CLOSED_PIPE."""
    protect()
    try:
        try:
            return call()
        finally:
            sys.stdout.flush()  # while a closed pipe can still set the exit code
    except ClosedOutputError:
        return CLOSED_PIPE


def protect() -> None:
    """Protect this process's standard output and error until it ends.

    Streams that replace them in notebooks and tests stay as they are.
    """
    codecs.register_error(PLAIN, _plain)
    sys.stdout = _protected(sys.stdout, sys.__stdout__, needs_reader=True)
    sys.stderr = _protected(sys.stderr, sys.__stderr__, needs_reader=False)


def _protected(stream: TextIO | None, first: TextIO | None, *, needs_reader: bool) -> TextIO:
    if stream is None:  # closed: the next open file, maybe a database, would take its number
        nothing = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        os.set_inheritable(nothing.fileno(), True)
        return nothing
    if stream is not first or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = _Output(stream.fileno(), needs_reader=needs_reader)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=PLAIN,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: a lookalike in ASCII, or a question mark."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(LOOKALIKES)
    return text.encode("ascii", "replace").decode(), error.end
