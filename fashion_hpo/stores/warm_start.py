"""The points that a search starts from: the best points of an earlier search that fit."""

from contextlib import suppress

from fashion_hpo.design.conditions import searched
from fashion_hpo.design.plan import Plan, canonical_json, make_point
from fashion_hpo.design.search import Search
from fashion_hpo.design.warm_start import Values, WarmStart, contains
from fashion_hpo.stores.layout import StoreError
from fashion_hpo.stores.ledger import Entry, Ledger
from fashion_hpo.stores.ranking import nothing_ranked


def warm_start(plan: Plan, source: Ledger | None) -> WarmStart:
    """The source's best points inside the plan's space, each once, best first.

    A field that the source did not search has its trials' common value.  Raises StoreError if
    there is no source, the source is a design, or none of its trials fits.
    """
    search = plan.search
    assert search is not None
    setting = f"search.warm_start is {search.warm_start!r}"
    if source is None:
        raise StoreError(
            f"{setting}, and the store has no results of that study under that budget; run it "
            "first, name another, or leave the warm start out."
        )
    if source.plan.search is None:
        raise StoreError(f"{setting}, and {source.name} is a design; name a search.")
    ranked = source.ranked()
    if not ranked:
        lack, advice = nothing_ranked(source.entries(), source.plan, source.remaining())
        raise StoreError(f"{setting}, and {source.name} has {lack}; {advice}.")
    points: dict[str, Values] = {}
    for entry in ranked:
        if (values := _inside(plan, search, entry)) is not None:
            points.setdefault(canonical_json(values), values)
    if not points:
        raise StoreError(
            f"{setting}, and none of the {len(ranked)} feasible trials of {source.name} lies "
            "inside search.space; widen the ranges, or leave the warm start out."
        )
    return WarmStart(source.name, tuple(points.values())[: search.warm_points])


def _inside(plan: Plan, search: Search, entry: Entry) -> Values | None:
    values = searched(
        {name: getattr(entry.attempt.config, name) for name in search.space}, search.when
    )
    if not all(contains(search.space[name], value) for name, value in values.items()):
        return None
    with suppress(ValueError):  # the values may make no valid config with this base
        make_point(plan, values, values)
        return values
    return None
