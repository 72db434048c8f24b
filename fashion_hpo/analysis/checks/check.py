"""One check of a study, as the terminal, MLflow and the report show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.formats import level_text


@dataclass(frozen=True)
class Check:
    """The result of a check, and for a warning the advice."""

    name: str
    level: Literal["ok", "warning"]
    sentence: str
    advice: str = ""

    @property
    def is_warning(self) -> bool:
        """Whether the check warns."""
        return self.level == "warning"


def judged(name: str, sentence: str, advice: str, *, warn: bool) -> Check:
    """A warning with its advice, or an ok without."""
    return Check(name, "warning", sentence, advice) if warn else Check(name, "ok", sentence)


def by_level(records: Records, trials: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The name and the trials of each scientific level; of a search "" and all trials."""
    fields = list(records.plan.scientific)
    if not fields:
        return [("", trials)] if len(trials) else []
    levels = []
    for values, rows in trials.groupby(fields, sort=False):
        assert isinstance(values, tuple)  # because the trials are grouped by a list
        levels.append((level_name(fields, values), rows))
    return levels


def level_name(fields: Sequence[str], values: Sequence[object]) -> str:
    """`dropout 0.25, batch_size 64`."""
    return ", ".join(
        f"{name} {level_text(value)}" for name, value in zip(fields, values, strict=True)
    )


def counted(count: int, thing: str) -> str:
    """`1 trial`, `3 trials`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
