"""SIGINT and SIGTERM: the first stops at the next training step, the second exits at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A person or the system asked this process to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class StopSignals:
    """Turns the signals into `Stopped`, which is raised only while nothing is being written."""

    def __init__(self) -> None:
        self.leaves_at_second = True
        self._received: int | None = None
        self._interruptible = False

    def install(self) -> None:
        """Install the handlers; only a process's main thread can."""
        if threading.current_thread() is threading.main_thread():
            for signum in HANDLED:
                signal.signal(signum, self._receive)

    def request(self, signum: int) -> None:
        """Stop at the next training step, as after this signal."""
        self._received = self._received or signum

    def check(self) -> None:
        """Raise Stopped if a signal has arrived."""
        if self._received is not None:
            raise Stopped(self._received)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within, a signal raises Stopped at once."""
        self.check()
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self._received is not None:
            if self.leaves_at_second:
                os._exit(128 + signum)
            return
        self._received = signum
        if self._interruptible:
            raise Stopped(signum)
