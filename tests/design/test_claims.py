import math
from typing import Any

import pytest

from fashion_hpo.design.claim_kinds.kind import KINDS, Part
from fashion_hpo.design.claims import Claim
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import digest, make_plan
from fashion_hpo.design.reports import reports
from fashion_hpo.design.spec import Budget, StudySpec, levels

TITLES, CLAIMS = reports()
CONTRAST = ("dropout", 0.0, 0.5)
OTHER = ("batch_size", 32, 512)
NONE = {"measure": "", "contrast": None, "direction": None}


def claim(**changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": "T.a",
        "text": "Dropout helps.",
        "measure": "val_loss",
        "contrast": CONTRAST,
        "direction": "lower",
    }
    return Claim(**{**values, **changes})


def kind(**changes: Any) -> dict[str, Any]:
    """What makes the claim one of another kind."""
    return {"contrast": None, "direction": "higher", **changes}


def spec(*claims: object, **scientific: Any) -> StudySpec:
    design = scientific or {"dropout": levels(0.0, 0.5), "batch_size": levels(32, 512)}
    budgets = {"quick": Budget(epochs=2), "standard": Budget()}
    return StudySpec(base=TrainConfig(epochs=5), scientific=design, claims=claims, budgets=budgets)  # type: ignore[arg-type]


def refusal(**changes: Any) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]+[.?]$") as error:
        spec(claim(**changes))
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "contrast"),
        ({"at": {"batch_size": 32}}, "contrast"),
        ({"relative": True, "margin": 0.1}, "contrast"),
        ({"direction": "same", "margin": 0.1}, "contrast"),
        ({"epoch": 5}, "contrast"),
        (kind(interaction=(CONTRAST, OTHER)), "interaction"),
        (kind(best={"dropout": 0.5}, direction="lower"), "best"),
        (kind(best={"dropout": 0.5, "batch_size": 32}), "best"),
        (kind(best={"dropout": 0.5}, at={"batch_size": 32}), "best"),
        (kind(figure=0.93, measure="val_accuracy"), "figure"),
        (kind(figure=0, at={"dropout": 0.5}, direction="same", margin=1), "figure"),
        (kind(figure="epochs", measure="parting_epoch", direction="lower"), "figure"),
        (kind(influence="dropout"), "influence"),
    ],
)
def test_every_kind_is_taken(changes: dict[str, Any], name: str) -> None:
    (found,) = spec(claim(**changes)).claims
    assert type(found.kind) is KINDS[name]
    assert list(found.all_parts) == [found]


def test_a_claim_may_have_parts_or_a_reason_why_it_has_none() -> None:
    part = Part(measure="ece", contrast=CONTRAST, direction="lower")
    several = claim(**NONE, parts=[part, part])
    untestable = claim(**NONE, id="T.b", untestable="No weights are here")
    assert [len(each.all_parts) for each in spec(several, untestable).claims] == [2, 0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measure": "gap"}, "measure is 'gap'; choose one of train_loss, "),
        ({"direction": "smaller"}, "direction is 'smaller'; choose one of lower, higher, same."),
        ({"direction": None}, "direction is None; choose one of lower, higher, same."),
        ({"margin": -0.1}, "margin is -0.1; allowed is 0 or more."),
        ({"margin": math.nan}, "margin is nan; allowed is 0 or more."),
        ({"margin": math.inf}, "margin is inf; allowed is 0 or more."),
        ({"margin": "0.1"}, "margin is '0.1'; allowed is 0 or more."),
        ({"direction": "same"}, "margin is 0, and no two means are the same; allow some more."),
        ({"contrast": ("epochs", 1, 2)}, "contrast is 'epochs'; choose one of dropout, "),
        ({"contrast": ("dropout", 0.0, 0.4)}, "level of dropout is 0.4; choose one of 0.0, 0.5."),
        ({"contrast": ("dropout", 0.0)}, "contrast is ('dropout', 0.0); allowed is a field and"),
        ({"contrast": ("dropout", 0.0, 0.5, 0.5)}, "contrast is ('dropout', 0.0, 0.5, 0.5); "),
        ({"contrast": ("dropout", 0.5, 0.5)}, "contrast is ('dropout', 0.5, 0.5); allowed is "),
        ({"contrast": "dropout"}, "contrast is 'dropout'; allowed is a field and two levels"),
        ({"at": {"dropout": 0.5}}, "at has 'dropout', which contrast compares; leave it out."),
        ({"at": {"epochs": 5}}, "at is 'epochs'; choose one of dropout, batch_size."),
        ({"at": {"batch_size": 64}}, "level of batch_size is 64; choose one of 32, 512."),
        ({"at": 32}, "at is 32; allowed is a dict."),
        (kind(interaction=CONTRAST), "interaction is ('dropout', 0.0, 0.5); allowed are two "),
        (kind(interaction=(CONTRAST, CONTRAST)), "interaction has 'dropout' twice; contrast two"),
        (kind(interaction=(CONTRAST, ("batch_size", 32, 64))), "level of batch_size is 64; choose"),
        (kind(best="dropout"), "best is 'dropout'; allowed is a dict."),
        (kind(best={}), "best is {}; name at least one field and its level."),
        (kind(best={"dropout": 0.4}), "level of dropout is 0.4; choose one of 0.0, 0.5."),
        (kind(best={"dropout": 0.5}, at={"dropout": 0.5}), "at has 'dropout', which best compares"),
        (
            kind(best={"dropout": 0.5}, direction="same", margin=1),
            "direction of best is 'same'; choose one of lower, higher.",
        ),
        (kind(figure="0.9"), "figure is '0.9'; allowed is a number or 'epochs'."),
        (kind(figure=math.nan), "figure is nan; allowed is a number or 'epochs'."),
        (kind(figure=True), "figure is True; allowed is a number or 'epochs'."),
        (kind(influence="epochs"), "influence is 'epochs'; choose one of dropout, batch_size."),
        (kind(influence="dropout", direction="lower"), "direction of influence is 'lower'; choose"),
        (
            kind(influence="dropout", at={"batch_size": 32}),
            "at is {'batch_size': 32}; influence is",
        ),
        ({"epoch": 0}, "epoch is 0; allowed is a whole number from 1."),
        ({"epoch": 6}, "epoch is 6; the study trains 5 at most."),
        ({"epoch": 2, "measure": "ece"}, "measure at an epoch is 'ece'; choose one of train_loss"),
        (kind(figure=1.0, relative=True), "relative is True with figure; it goes with contrast"),
        ({"text": ""}, "text is ''; say what is claimed"),
        ({"text": 3}, "text is 3; allowed is a text."),
        ({"untestable": "No weights"}, "measure and untestable are both given; leave one out."),
        ({"parts": [Part()]}, "measure and parts are both given; leave one out."),
        ({**NONE, "parts": "ece"}, "parts is 'ece'; allowed is a list of Parts."),
        (
            {**NONE, "parts": [Part()], "untestable": "No weights"},
            "parts and untestable are both given; leave one out.",
        ),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(changes: dict[str, Any], words: str) -> None:
    assert refusal(**changes).startswith(f"claim T.a: {words}")


def test_an_id_is_part_of_a_tags_name() -> None:
    told = "claim T.a, b: id is 'T.a, b'; allowed are letters, digits, '.', '_' and '-'."
    assert refusal(id="T.a, b") == told


@pytest.mark.parametrize(
    ("changes", "given"),
    [({"contrast": None}, "no kind"), ({"figure": 0.9}, "contrast and figure")],
)
def test_a_part_is_of_one_kind(changes: dict[str, Any], given: str) -> None:
    told = f"claim T.a has {given}; give one of {', '.join(KINDS)}."
    assert refusal(**changes) == told


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("contrst", "did you mean contrast?"),
        ("margn", "did you mean margin?"),
        ("x", f"choose one of {', '.join(KINDS)}."),
    ],
)
def test_a_keyword_that_no_claim_has_is_refused_by_name(name: str, advice: str) -> None:
    with pytest.raises(ValueError, match=r"^a claim has no ") as error:
        claim(**{name: 0.5})
    assert str(error.value) == f"a claim has no {name!r}; {advice}"


def test_a_wrong_part_is_named_by_its_number() -> None:
    good = Part(measure="ece", contrast=CONTRAST, direction="lower")
    told = refusal(**NONE, parts=[good, Part(measure="gap")])
    assert told.startswith("claim T.a, part 2: measure is 'gap'; choose one of ")
    parts = [claim()]
    assert refusal(**NONE, parts=parts).endswith("; allowed is a list of Parts.")


def test_one_field_alone_has_no_influence_to_compare() -> None:
    with pytest.raises(ValueError, match=r"influence is 'dropout', and no other field varies"):
        spec(claim(**kind(influence="dropout")), dropout=levels(0.0, 0.5))


def test_a_reports_claim_has_its_text_and_figure_from_the_reports() -> None:
    found = Claim(id="R2.a", measure="ece", contrast=CONTRAST, direction="lower")
    assert (found.text, found.reported) == CLAIMS["R2.a"]
    own = claim(id="R2.a", reported="0.3")
    assert (own.text, own.reported) == ("Dropout helps.", "0.3")


def test_the_reports_have_thirty_claims_in_order() -> None:
    assert len(CLAIMS) == 30
    assert sorted(CLAIMS) == list(CLAIMS)
    assert {name.partition(".")[0] for name in CLAIMS} == set(TITLES)
    assert all(claimed.text.endswith(".") and claimed.figure for claimed in CLAIMS.values())


def test_claims_are_no_part_of_what_is_run() -> None:
    """Claims may be added to a study with results: its ledger is still the same one."""
    plain, claimed = (make_plan("tiny", "?", each, "quick") for each in (spec(), spec(claim())))
    assert digest(plain.identity()) == digest(claimed.identity())
    assert plain.extent() == claimed.extent()
