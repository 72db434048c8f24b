"""Every claim of the project's studies, judged on simulated ledgers: true, false, at its margin, or
outside the report's regime."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import Cells, column_of
from fashion_hpo.analysis.statistics.effects import effects_of
from fashion_hpo.analysis.statistics.verdicts import (
    NOT_ASKED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
    UNTESTABLE,
    verdict_of,
)
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.claims import Claim
from fashion_hpo.design.measures import EPOCHS, MEASURES
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.reports import reports
from fashion_hpo.design.study_file import PACKAGED, load_study

NAMES = sorted(path.stem for path in PACKAGED.glob("[a-z]*.py"))
DECIDED = {"true": 1.0, "false": -1.0}
NOISE = 5e-4  # of a seed


def claims() -> Iterator[tuple[str, Claim]]:
    for name in NAMES:
        for claim in load_study(name)[1].claims:
            yield name, claim


CLAIMS = {claim.id: name for name, claim in claims()}
TESTABLE = [claim.id for _, claim in claims() if not claim.untestable and not claim.small_scale]
SMALL = [claim.id for _, claim in claims() if claim.small_scale]


def plan_of(claim_id: str, budget: str = "full") -> tuple[Plan, Claim]:
    question, spec = load_study(CLAIMS[claim_id])
    (claim,) = (claim for claim in spec.claims if claim.id == claim_id)
    return make_plan(CLAIMS[claim_id], question, spec, budget), claim


def target(part: Part, side: float, epochs: int) -> float:
    """A value of the part's statistic on the claimed side of its margin (1), the other (-1) or at
    the margin (0)."""
    figure = part.kind.figure(epochs) or 0.0
    far = max(1.0, 10 * part.margin) if MEASURES[part.measure].unit is EPOCHS else 0.1
    far = max(far, 2 * part.margin)
    if part.direction == "same":
        return figure + (part.margin if side == 0 else 0.0 if side > 0 else part.margin + far)
    sign = 1 if part.direction == "higher" else -1
    return figure + sign * (part.margin + side * far)


def means_of(plan: Plan, parts: list[Part], side: float) -> np.ndarray:
    """Means of the cells that give all statistics of these parts their targets."""
    fields, levels = tuple(plan.scientific), list(product(*plan.scientific.values()))
    one = np.ones((2, len(levels)))
    cells = Cells(fields, levels, one, [0, 1], np.zeros(len(levels)))
    if "influence" in parts[0].claimed:
        return influenced(cells, parts[0], side)
    if parts[0].relative:
        _, _, second = parts[0].claimed["contrast"]
        ratio = 1 + target(parts[0], side, plan.base.epochs)
        return np.array([1000 * (ratio if second in cell else 1.0) for cell in levels])
    rows, wanted = [], []
    for part in parts:
        for effect in effects_of(cells, part):
            assert effect.shares is not None
            rows.append(effect.shares)
            wanted.append(target(part, side, plan.base.epochs))
    means, *_ = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)
    assert np.array(rows) @ means == pytest.approx(np.array(wanted))
    return np.asarray(means)


def influenced(cells: Cells, part: Part, side: float) -> np.ndarray:
    """The claimed field alone has an effect, or another one, or both have the same."""
    field = cells.fields.index(part.claimed["influence"])
    other = next(place for place in range(len(cells.fields)) if place != field)
    halves = np.array([[cell[place] == cells.levels[0][place] for place in (field, other)]
                       for cell in cells.levels], dtype=float)  # fmt: skip
    return np.asarray(halves @ {1.0: [1, 0], -1.0: [0, 1], 0.0: [1, 1]}[side])


def simulated(plan: Plan, claim: Claim, side: float, accuracy: float) -> Records:
    """A complete ledger: each seed is a little off the means that the claim's parts ask for."""
    draw = np.random.default_rng(1)
    levels = list(product(*plan.scientific.values()))
    shape = (plan.seeds, len(levels))
    rows: list[dict[str, Any]] = [
        {
            "trial": number, "outcome": "complete", "value": accuracy, "seed_index": seed,
            **dict(zip(plan.scientific, cell, strict=True)),
            **{name: getattr(plan.base, name) for name in plan.spec.nuisance},
        }
        for number, (seed, cell) in enumerate(product(range(plan.seeds), levels))
    ]  # fmt: skip
    trials, epochs = pd.DataFrame(rows), pd.DataFrame({"trial": trials_of(rows), "epoch": 0})
    for column, (parts, epoch) in by_column(claim).items():
        means = means_of(plan, parts, side)
        noise = draw.standard_normal(shape)
        if MEASURES[parts[0].measure].unit is EPOCHS:
            noise = np.sign(noise[:, :1]) * (1 if side == 0 else 0)
        elif MEASURES[parts[0].measure].needs == "network":
            noise = np.zeros(shape)
        else:
            noise = noise - noise.mean(axis=0)  # the margin is in the middle of its interval
            noise *= NOISE * (1000 if parts[0].relative else 1)
        values = (means + noise).ravel()
        if epoch is None:
            trials[column] = values
        else:
            epochs = epochs.assign(**{column: values, "epoch": epoch})
    return Records(plan, "", "", "", trials, epochs, 0)


def trials_of(rows: list[dict[str, Any]]) -> list[int]:
    return [row["trial"] for row in rows]


def by_column(claim: Claim) -> Mapping[str, tuple[list[Part], int | None]]:
    """The parts about each column; parts about tuned and untuned values have the same here."""
    columns: dict[str, tuple[list[Part], int | None]] = {}
    for part in claim.all_parts:
        name = column_of(part.measure) if part.epoch is None else part.measure
        columns.setdefault(name, ([], part.epoch))[0].append(part)
    return columns


def word(claim_id: str, side: float, *, off: float = 0.01, budget: str = "full") -> str:
    plan, claim = plan_of(claim_id, budget)
    assert claim.regime is not None
    return verdict_of(claim, simulated(plan, claim, side, claim.regime.reaches + off)).word


@pytest.mark.parametrize("claim_id", TESTABLE)
def test_a_true_claim_is_reproduced(claim_id: str) -> None:
    assert word(claim_id, 1.0) == REPRODUCED


@pytest.mark.parametrize("claim_id", TESTABLE)
def test_a_false_claim_is_not_reproduced(claim_id: str) -> None:
    assert word(claim_id, -1.0) == REFUTED


@pytest.mark.parametrize("claim_id", [name for name in TESTABLE if name != "R1.f"])
def test_a_claim_at_its_margin_is_undecided(claim_id: str) -> None:
    """R1.f is also about a number of parameters, which is on one side or the other."""
    assert word(claim_id, 0.0) == UNDECIDED


@pytest.mark.parametrize("side", DECIDED.values(), ids=DECIDED)
@pytest.mark.parametrize("claim_id", TESTABLE)
def test_outside_the_reports_regime_nothing_is_asked(claim_id: str, side: float) -> None:
    assert word(claim_id, side, off=-0.01) == NOT_ASKED


@pytest.mark.parametrize("claim_id", TESTABLE)
def test_the_quick_budget_asks_no_reports_claim(claim_id: str) -> None:
    plan, claim = plan_of(claim_id, "quick")
    empty = replace(simulated(*plan_of(claim_id), 1.0, 1.0), plan=plan)
    found = verdict_of(claim, empty)
    assert found.word == NOT_ASKED
    assert f"`python -m fashion_hpo.study {plan.name} --budget full` asks." in found.sentence


@pytest.mark.parametrize("claim_id", SMALL)
def test_a_claim_of_small_scale_is_asked_by_the_quick_budget_alone(claim_id: str) -> None:
    plan, claim = plan_of(claim_id, "quick")
    for side, expected in {1.0: REPRODUCED, -1.0: REFUTED, 0.0: UNDECIDED}.items():
        assert verdict_of(claim, simulated(plan, claim, side, 0.8)).word == expected
    found = verdict_of(claim, simulated(*plan_of(claim_id, "full"), 1.0, 0.95))
    assert found.word == NOT_ASKED
    assert f"`python -m fashion_hpo.study {plan.name} --budget quick` asks." in found.sentence


@pytest.mark.parametrize("claim_id", SMALL)
def test_a_claim_of_small_scale_is_not_asked_of_a_changed_config(claim_id: str) -> None:
    """A network that was trained too little to learn would refute it."""
    plan, claim = plan_of(claim_id, "quick")
    short = replace(plan, base=plan.base.replace(epochs=2, train_images=500))
    found = verdict_of(claim, simulated(short, claim, -1.0, 0.1))
    assert found.word == NOT_ASKED
    assert found.sentence.startswith(
        "the claim is about the quick budget without changes to train_images, epochs; "
        f"`python -m fashion_hpo.study {plan.name} --budget quick --revise` asks."
    )


def test_too_few_optimizer_steps_are_no_regime() -> None:
    plan, claim = plan_of("R2.a")
    records = simulated(plan, claim, 1.0, 0.95)
    short = replace(plan, base=plan.base.replace(epochs=1))
    found = verdict_of(claim, replace(records, plan=short))
    assert found.word == NOT_ASKED
    assert found.sentence.startswith("the reference is trained for 391 optimizer steps, and ")


def test_all_claims_of_the_reports_are_here_once() -> None:
    assert {claim_id.partition("-")[0] for claim_id in CLAIMS} == set(reports().claims)
    ids = [claim.id for _, claim in claims()]
    assert len(ids) == len(set(ids)) == 34
    (untestable,) = (claim for _, claim in claims() if claim.untestable)
    plan, _ = plan_of(untestable.id)
    assert (
        verdict_of(untestable, Records(plan, "", "", "", pd.DataFrame(), pd.DataFrame(), 0)).word
        == UNTESTABLE
    )
