"""The first cause of a database's or disk's error, which Optuna, MLflow and SQLAlchemy wrap."""

import errno
from collections.abc import Iterator

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_IN_WORDS = ("database or disk is full", "No space left on device", "Disk quota exceeded")


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk was full, on this machine or the database's."""
    return any(
        (isinstance(cause, OSError) and cause.errno in FULL)
        or any(words in str(cause) for words in FULL_IN_WORDS)
        for cause in _chain(error)
    )


def disk_full(error: BaseException, place: object) -> str:
    """The message for a full disk; `place` is a folder on that disk."""
    return (
        f"the disk of {place} is full ({reason_of(error)}); make room, then run the same command "
        "again: what was written before is safe."
    )


def reason_of(error: BaseException) -> str:
    """The first line of the first cause, without its SQL statement.

    Optuna's own message guesses at "invalid data ... exceeding max length" whatever the cause.
    """
    *_, cause = _chain(error)
    text = str(getattr(cause, "orig", cause))  # SQLAlchemy's attribute for the driver's error
    return text.splitlines()[0] if text else type(cause).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, then the errors that it was raised from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
