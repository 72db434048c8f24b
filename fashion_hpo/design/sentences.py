"""Parts of messages: shortened texts, lists of names, suggestions for a mistyped name, commands."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

NEAREST = 3  # at most so many names are suggested
AS_NEAR = 0.15  # a suggestion is at most this much less similar than the nearest name
MOST_LISTED = 8  # at most so many names are listed
STORELESS = (
    "train",
    "augment",
    "bench",
    "calibration",
    "completion",
)  # commands that take no --store


def shortened(text: object, longest: int) -> str:
    """The text in one line of about `longest` characters, cut after a whole word.

    A longer single word is cut, and its length is added.
    """
    line = " ".join(str(text).split())
    if len(line) <= longest:
        return line
    head, space, _ = line[: longest + 1].rpartition(" ")
    return f"{head} …" if space else f"{line[:longest]}… ({len(line)} characters)"


def quoted(text: str, longest: int) -> str:
    """The text in quotation marks, shortened if it is too long."""
    return repr(text if len(text) <= longest else shortened(text, longest))


def listed(names: Iterable[str], where: str) -> str:
    """`a, b, c`; of many names the first, the number of the others, and `where` to see all."""
    every = list(names)
    if len(every) <= MOST_LISTED:
        return ", ".join(every) or "none"
    left = len(every) - MOST_LISTED
    return f"{', '.join(every[:MOST_LISTED])} and {left} more ({where} shows all)"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean a, b or c?`, with the most similar names; "" if none is similar."""
    near = get_close_matches(name, list(known), n=NEAREST)
    if not near:
        return ""
    least = _similarity(name, near[0]) - AS_NEAR
    *others, last = (match for match in near if _similarity(name, match) >= least)
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def _similarity(name: str, known: str) -> float:
    return SequenceMatcher(None, known, name).ratio()  # the same order as in `get_close_matches`


def study_command(study: str, budget: str | None, options: str = "") -> str:
    """The command that runs a study, in backquotes, for a message."""
    under = f" --budget {budget}" if budget else ""
    return f"`python -m fashion_hpo.study {study}{under}{options and f' {options}'}`"


def with_store(text: str, where: str) -> str:
    """The text with `where`, such as ` --store DIR`, added to its `python -m fashion_hpo.…`."""
    stores = f"(?!{'|'.join(STORELESS)})"
    command = rf"`(python -m fashion_hpo\.{stores}(?:(?! --store)[^`])+)`"
    return re.sub(command, lambda match: f"`{match[1]}{where}`", text)
