"""Find the results of a study whose file was renamed or removed: they are under its former name."""

from fashion_hpo.design.plan import Plan, digest, make_plan
from fashion_hpo.design.study_file import list_studies, load_study
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import ledger_names, ledgers_of_spec


def former_name(store: Store, plan: Plan) -> str:
    """Says under which name the store has results of the plan, if the plan has none under its own;
    "" otherwise.  Only names without a study file count."""
    names = {name.partition("/")[0] for name in ledgers_of_spec(store, digest(plan.identity()))}
    former = sorted(names - {*list_studies()})
    if plan.name in names or not former:
        return ""
    path, old = list_studies()[plan.name], former[0]
    return (
        f"the store has results of this study as {old}, a name without a file; "
        f"`mv {path} {path.with_stem(old)}` lets `python -m fashion_hpo.study {old}` go on "
        "with them."
    )


def gone(store: Store, name: str) -> str:
    """Says what to do about results of a study that has no file; "" if the store has none."""
    ledgers = [ledger for ledger in ledger_names(store) if ledger.partition("/")[0] == name]
    if not ledgers:
        return ""
    said = f"the store has results of {name}, whose file is not in studies/; "
    for present, path in list_studies().items():
        if _is_same(store, present, ledgers):
            return f"{said}{path} is the same study: `mv {path} {path.with_stem(name)}`."
    return (
        f"{said}put studies/{name}.py back, or delete them with `python -m fashion_hpo.delete "
        f"{name}`."
    )


def _is_same(store: Store, study: str, ledgers: list[str]) -> bool:
    """Whether a study file has the spec of one of these ledgers, under one of its budgets."""
    try:
        question, spec = load_study(study)
    except ValueError:  # a file of another form
        return False
    plans = (make_plan(study, question, spec, budget) for budget in spec.budgets)
    hashes = {digest(plan.identity()) for plan in plans}
    return any(set(ledgers) & set(ledgers_of_spec(store, spec_hash)) for spec_hash in hashes)
