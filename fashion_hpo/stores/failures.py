"""What an error of a database or a disk comes down to: Optuna, MLflow and SQLAlchemy wrap it."""

import errno
from collections.abc import Iterator

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_IN_WORDS = ("database or disk is full", "No space left on device", "Disk quota exceeded")


def is_disk_full(error: BaseException) -> bool:
    """Whether there was no room for what was written, on this machine's disk or the database's."""
    return any(
        (isinstance(each, OSError) and each.errno in FULL)
        or any(words in str(each) for words in FULL_IN_WORDS)
        for each in _chain(error)
    )


def disk_full(error: BaseException, place: object) -> str:
    """The sentence about a disk that is full, of which `place` is a folder."""
    return (
        f"the disk of {place} is full ({reason_of(error)}); make room, then run the same command "
        "again: what was written before is safe."
    )


def reason_of(error: BaseException) -> str:
    """The first line of the error that others were raised from, without the SQL that it was in.

    Optuna's own line guesses at "invalid data ... exceeding max length", whatever it was.
    """
    *_, first = _chain(error)
    text = str(getattr(first, "orig", first))  # SQLAlchemy's, of the database's driver
    return text.splitlines()[0] if text else type(first).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
