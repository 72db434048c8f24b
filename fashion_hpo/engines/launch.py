"""Stand between Ray's process and a worker: `python -m fashion_hpo.engines.launch PIPE PARENT`.

When Ray's process ends, Ray kills that process's children, with no time to close a trial.  It kills
this process; the worker then gets SIGTERM and closes its trial.
"""

import ctypes
import os
import signal
import sys
from types import FrameType

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def main() -> None:
    """Start the worker, pass SIGTERM on to it, and end as it ends."""
    pipe, parent = sys.argv[1], int(sys.argv[2])
    here = os.getpid()
    worker = os.fork()
    if worker == 0:
        _ends_with(here)
        os.execv(sys.executable, [sys.executable, "-m", "fashion_hpo.engines.worker", pipe])

    def pass_on(signum: int, frame: FrameType | None) -> None:
        os.kill(worker, signum)

    signal.signal(signal.SIGTERM, pass_on)
    os.close(int(pipe))  # the worker's end alone tells that the worker has ended
    _ends_with(parent)
    _, status = os.waitpid(worker, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code == signal.SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(here, -code)
    sys.exit(code)


def _ends_with(parent: int) -> None:
    """Let this process get SIGTERM when its parent process ends, or now if that is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
