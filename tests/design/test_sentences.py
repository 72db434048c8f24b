"""Messages that are too long end after a whole word, and lists say how much they leave out."""

import re
from collections.abc import Callable

import pytest

from fashion_hpo.design import checks, config, spec
from fashion_hpo.design.config import TrainConfig, field_names
from fashion_hpo.design.measures import CLAIMABLE
from fashion_hpo.design.sentences import did_you_mean, listed, shortened
from fashion_hpo.design.spec import levels
from fashion_hpo.training.architectures import CATALOGUE, build_for
from tests import plans

LINE = "Labels are smoothed by label_smoothing, and images mirrored by flip."


@pytest.mark.parametrize("longest", range(6, len(LINE) + 3))
def test_no_word_is_cut(longest: int) -> None:
    short = shortened(LINE, longest)
    words = short.removesuffix(" …").split()
    assert words == LINE.split()[: len(words)]
    assert short.endswith(" …") == (len(LINE) > longest)
    assert len(short) <= longest + len(" …")


def test_a_text_is_one_line() -> None:
    assert shortened("a\n\tb  c\n", 10) == "a b c"
    assert shortened(ValueError("a\nb"), 10) == "a b"
    assert shortened("", 10) == ""


def test_a_single_word_that_is_too_long_is_cut_and_its_length_told() -> None:
    assert shortened("x" * 600, 40) == f"{'x' * 40}… (600 characters)"


def test_a_list_says_how_many_it_leaves_out_and_who_shows_all() -> None:
    names = [f"name_{number}" for number in range(20)]
    assert listed(names[:8], "`--list`") == ", ".join(names[:8])
    assert listed(names, "`--list`") == f"{', '.join(names[:8])} and 12 more (`--list` shows all)"
    assert listed([], "`--list`") == "none"


def test_at_most_three_names_are_suggested_and_none_that_is_less_near() -> None:
    assert did_you_mean("resnet50", CATALOGUE) == "did you mean resnet9, resnet18 or lenet5?"
    assert did_you_mean("vgg", CATALOGUE) == "did you mean vgg8 or vgg12?"
    assert did_you_mean("dropuot", field_names()) == "did you mean dropout?"
    assert did_you_mean("lerning_rate", field_names()) == "did you mean learning_rate?"
    assert did_you_mean("xyz", field_names()) == ""


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as raised:
        call()
    return str(raised.value)


WRONG: dict[str, tuple[Callable[[str], object], list[str]]] = {
    "scientific": (
        lambda name: plans.design(scientific={name: levels(0.0, 0.1)}, claims=()),
        [*field_names()],
    ),
    "config": (lambda name: TrainConfig.from_dict({name: 1}), [*field_names()]),
    "set": (lambda name: config.parse_field(name, "1"), [*field_names()]),
    "architecture": (lambda name: build_for(TrainConfig(architecture=name)), [*CATALOGUE]),
    "measure": (lambda name: checks.check_choice("measure", name, CLAIMABLE), [*CLAIMABLE]),
}


@pytest.mark.parametrize("place", WRONG)
@pytest.mark.parametrize("far", [False, True])
def test_a_mistyped_name_brings_near_ones_or_a_list_that_is_honest(place: str, far: bool) -> None:
    call, known = WRONG[place]
    name = "zzzzzzzz" if far else f"{known[2]}x"
    told = refusal(lambda: call(name))
    assert name in told
    named = [word for word in re.findall(r"\w+", told.partition(name)[2]) if word in known]
    if not far:
        assert "did you mean " in told
        assert known[2] in named
        assert len(named) <= 3
    elif "more (" in told:
        left = re.search(r"and (\d+) more \(`python -m fashion_hpo.train --list` shows all\)", told)
        assert left is not None
        assert int(left[1]) >= len(known) - len(named) - 3, "seed, fold and options may not vary"
    else:
        assert sorted(set(named)) == sorted(known), "all of them"
    assert told.endswith((".", "?"))


@pytest.mark.parametrize("name", ["seed", "architecture_options"])
def test_a_field_that_no_study_may_vary_is_not_suggested(name: str) -> None:
    told = refusal(lambda: plans.design(scientific={name: levels(0, 1)}, claims=()))
    assert told == f"scientific has {name!r}, which no study may vary; leave it out."


@pytest.mark.parametrize("name", ["a\n", "a b", "", "A" * 30, "a" * 600])
def test_a_bad_name_is_repeated_as_it_was_typed(name: str) -> None:
    told = refusal(lambda: spec.check_name(name))
    assert told.startswith(f"study name is {name[:30]!r}"[:-1])
    assert len(told) < 200
