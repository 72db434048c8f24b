"""Records built by hand: small designs and searches with the outcomes that a test asks for."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, Claim, Search, StudySpec, levels

EPOCHS = 4
SPACE: dict[str, BaseDistribution] = {
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "optimizer": CategoricalDistribution(["adam", "sgd"]),
    "batch_size": IntDistribution(32, 256, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
}
Outcome = str


def design(
    *,
    values: Sequence[float] = (0.0, 0.25),
    seeds: int = 3,
    outcomes: dict[int, Outcome] | None = None,
    last_loss: float | None = None,
    remaining: int = 0,
    budget: str = "standard",
    question: str = "Does dropout help?",
    captions: dict[Any, str] | None = None,
    small: str = "",
) -> Records:
    """A dropout ablation; `outcomes` names what trials other than complete ones came to.

    `last_loss` stands in for the last validation loss of trial 0; `small` is the measure of a
    claim about the quick budget.
    """
    claim = Claim(
        id="R2.a",
        text="the losses stay together",
        measure="generalization_gap",
        contrast=("dropout", values[0], values[-1]),
        direction="lower",
    )
    claims = [claim] if len(values) > 1 else []  # one level contrasts with nothing
    if small:
        claims.append(
            Claim(
                id="small",
                text="it is small",
                measure=small,
                figure=1.0,
                direction="lower",
                small_scale=True,
            )
        )
    spec = StudySpec(
        base=TrainConfig(epochs=EPOCHS, train_images=1000),
        scientific={"dropout": levels(*values)},
        seeds=seeds,
        claims=claims,
        captions={0.0: "without dropout", 0.25: "with dropout"} if captions is None else captions,
        budgets={"quick": Budget(), "standard": Budget()},
    )
    trials, epochs = [], []
    for number in range(seeds * len(values)):
        seed, level = divmod(number, len(values))
        outcome = (outcomes or {}).get(number, "complete")
        history = [_epoch(e, values[level], seed) for e in range(1, EPOCHS + 1)]
        if number == 0 and last_loss is not None:
            history[-1]["val_loss"] = last_loss
        trials.append(_trial(number, outcome, seed, history, dropout=values[level]))
        epochs += [
            {"trial": number, "seed_index": seed, "dropout": values[level], **e} for e in history
        ]
    return _records(spec, budget, question, trials, epochs, remaining)


def search(outcomes: Sequence[Outcome] = ("complete",) * 12, *, flat: bool = False) -> Records:
    """A search whose value falls with dropout alone; `flat`: every value is the same."""
    spec = StudySpec(
        base=TrainConfig(epochs=EPOCHS, train_images=1000),
        search=Search(space=SPACE, trials=max(1, len(outcomes))),
        budgets={"standard": Budget()},
    )
    trials = []
    for number, outcome in enumerate(outcomes):
        share = number / max(1, len(outcomes))
        drawn = {
            "weight_decay": 10 ** (-6 + 4 * ((7 * number) % 12) / 12),
            "learning_rate": 10 ** (-4 + 3 * ((5 * number) % 12) / 12),
            "optimizer": ("adam", "sgd")[number % 2],
            "batch_size": (32, 64, 128, 200)[number % 4],
            "dropout": 0.5 * share,
        }
        history = [_epoch(1, 0.0 if flat else share, 0)]
        trials.append(_trial(number, outcome, 0, history, **drawn))
    epochs = [{"trial": t["trial"], "epoch": 1, "val_accuracy": t["value"]} for t in trials]
    return _records(spec, "standard", "Which settings are best?", trials, epochs, 0)


def _records(
    spec: StudySpec,
    budget: str,
    question: str,
    trials: list[dict[str, Any]],
    epochs: list[dict[str, Any]],
    remaining: int,
) -> Records:
    return Records(
        plan=make_plan("example", question, spec, budget),
        ledger_name=f"example/{budget}/r1",
        ledger_uid="abc123",
        data_hash="d" * 64,
        trials=pd.DataFrame(trials, columns=None if trials else ["trial", "outcome", "value"]),
        epochs=pd.DataFrame(epochs, columns=None if epochs else ["trial", "epoch"]),
        remaining=remaining,
    )


def _epoch(epoch: int, level: float, seed: int) -> dict[str, Any]:
    """Losses that fall; a higher level costs accuracy, a later seed gains a little."""
    return {
        "epoch": epoch,
        "train_eval_loss": 1.0 / epoch,
        "val_loss": 1.2 / epoch + 0.01 * seed,
        "val_accuracy": 0.9 - 0.2 * level - 0.1 / epoch + 0.01 * seed,
        "seconds": 1.5,
    }


def _trial(
    number: int, outcome: Outcome, seed: int, history: list[dict[str, Any]], **varied: Any
) -> dict[str, Any]:
    last = history[-1]
    has_value = outcome in ("complete", "pruned")
    return {
        **TrainConfig(epochs=EPOCHS, train_images=1000).to_dict(),
        **varied,
        "trial": number,
        "uid": f"abc123-{number:05d}",
        "outcome": outcome,
        "value": last["val_accuracy"] if has_value else None,
        "reason": "" if has_value else "a loss was not finite",
        "seed_index": seed,
        "epochs_done": len(history),
        "seconds": 1.5 * len(history),
        "device_name": "cpu (test)",
        "generalization_gap": last["val_loss"] - last["train_eval_loss"] if has_value else math.nan,
        **{f"last_{name}": value for name, value in last.items()},
    }
