"""Text that is too long for a message, cut at words; and names near one that was mistyped."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

NEAREST = 3  # names that a message suggests
AS_NEAR = 0.15  # less similar than the nearest name by more, a name is not suggested
MOST_LISTED = 8  # names that a message lists
STORELESS = ("train", "augment", "bench", "calibration")  # commands that take no --store


def shortened(text: object, longest: int) -> str:
    """The text in one line of at most about `longest` characters, cut after a whole word.

    A single word that is longer is cut, and its length is told.
    """
    line = " ".join(str(text).split())
    if len(line) <= longest:
        return line
    head, space, _ = line[: longest + 1].rpartition(" ")
    return f"{head} …" if space else f"{line[:longest]}… ({len(line)} characters)"


def quoted(text: str, longest: int) -> str:
    """What was typed, in quotation marks, as it was typed unless it is too long."""
    return repr(text if len(text) <= longest else shortened(text, longest))


def listed(names: Iterable[str], where: str) -> str:
    """`a, b, c`; of many the first, how many more there are, and `where` all are shown."""
    every = list(names)
    if len(every) <= MOST_LISTED:
        return ", ".join(every) or "none"
    left = len(every) - MOST_LISTED
    return f"{', '.join(every[:MOST_LISTED])} and {left} more ({where} shows all)"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean a, b or c?`, of names about as near as the nearest; "" where none is near."""
    near = get_close_matches(name, list(known), n=NEAREST)
    if not near:
        return ""
    least = _similarity(name, near[0]) - AS_NEAR
    *others, last = (each for each in near if _similarity(name, each) >= least)
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def _similarity(name: str, known: str) -> float:
    return SequenceMatcher(None, known, name).ratio()  # in the order of `get_close_matches`


def study_command(study: str, budget: str | None, options: str = "") -> str:
    """The command that runs a study, in backquotes, for a message that tells to type it."""
    under = f" --budget {budget}" if budget else ""
    return f"`python -m fashion_hpo.study {study}{under}{options and f' {options}'}`"


def with_store(text: str, where: str) -> str:
    """A text whose `python -m fashion_hpo.…` name a store: `where` is ` --store DIR`, say."""
    stores = f"(?!{'|'.join(STORELESS)})"
    command = rf"`(python -m fashion_hpo\.{stores}(?:(?! --store)[^`])+)`"
    return re.sub(command, lambda match: f"`{match[1]}{where}`", text)
