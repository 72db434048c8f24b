"""Which figures a report shows, under which heading, in which order."""

from collections.abc import Mapping

import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import expected_regret
from fashion_hpo.analysis.statistics.importance import importances
from fashion_hpo.analysis.statistics.predictions import Predictions
from fashion_hpo.reporting.figures import (
    budget,
    comparisons,
    contour,
    cost,
    curves,
    final_values,
    pareto,
    predictions,
    search,
)

Section = Mapping[str, go.Figure]
"""Figures shown side by side where there is room, by the name of their file."""


def sections(records: Records) -> dict[str, Section]:
    """Every figure that the records can fill, by heading; empty before a trial is complete."""
    if records.plan.search is not None:
        return _of_search(records) if len(records.trials) else {}
    return _of_design(records) if len(records.complete) else {}


def _of_design(records: Records) -> dict[str, Section]:
    paired = comparisons.paired_differences(records)
    (answering, figure), *others = final_values.final_values(records).items()
    captioned = curves.captioned_levels(records)
    by_heading: dict[str, Section] = {
        "The answer": {answering: figure},
        "Final values": dict(others),
        "Differences between levels": {} if paired is None else {"differences": paired},
        "Two fields at once": {
            f"interaction_{name}": figure
            for name, figure in comparisons.interactions(records).items()
        },
        "Curves, level by level": {
            f"level_{number}": figure for number, figure in enumerate(captioned, 1)
        },
        "Curves, all levels": {
            "loss_curves": curves.loss_curves(records),
            "accuracy_curves": curves.accuracy_curves(records),
        },
    }
    return {heading: section for heading, section in by_heading.items() if section}


def _of_search(records: Records) -> dict[str, Section]:
    by_heading: dict[str, Section] = {
        "The course of the search": {"history": search.optimisation_history(records)}
    }
    if records.complete.empty:
        return by_heading
    if fronts := pareto.pareto_fronts(records):
        drawn = {f"pareto_{name}": figure for name, figure in fronts.items()}
        by_heading = {"The Pareto front": drawn, **by_heading}
    if shares := importances(records):
        drawn = {"importance": search.importance_bars(shares)}
        if (smooth := contour.contour(records, shares)) is not None:
            drawn["contour"] = smooth
        by_heading["What mattered"] = drawn
    if (curve := budget.budget_curve(records)) is not None:
        by_heading["Would fewer trials have been enough?"] = {"budget": curve}
    if (expected := budget.expected_regret(records, expected_regret.read())) is not None:
        by_heading["Replayed on a table of trained configs"] = {"expected_regret": expected}
    by_heading["Each searched field against the objective"] = {
        f"slice_{name}": figure for name, figure in search.slices(records).items()
    }
    by_heading["All fields at once"] = {"parallel": search.parallel_coordinates(records)}
    return by_heading


def of_model(best: Predictions) -> Section:
    """The figures of one trial's predictions."""
    return {
        "confusion": predictions.confusion_counts(best),
        "confused_pairs": predictions.most_confused(best),
        "reliability": predictions.reliability_diagram(best),
        "confidence": predictions.confidence_boxes(best),
        "precision_recall": predictions.precision_recall_curves(best),
    }


def of_cost(records: Records) -> Section:
    """What the trials cost; empty before one has a value."""
    figure = cost.accuracy_against_time(records)
    return {"cost": figure} if figure.data else {}
