"""Messages tell what to type: each such command is typed by a test, and leads somewhere.

`ADVICE` lists the tests that type them, with every place in the package that tells a command.
What needs root (apt-get), a database server, a retraining that diverges or workers on crowded cores
is read by a test of its message and not typed.
"""

import ast
import gc
import importlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest

import fashion_hpo
from fashion_hpo.analysis.checks.training import _more_seeds
from fashion_hpo.analysis.records import Records, of_ledger
from fashion_hpo.analysis.statistics.regime import outside
from fashion_hpo.design.claims import Regime
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.registering.registration import candidate
from fashion_hpo.registering.winner import winner
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.predictions import FILE
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.terminal.command_line import on_store
from fashion_hpo.training.data import SearchSplits
from tests import plans
from tests.commands.test_addresses import arguments
from tests.finished import copied
from tests.folders import enter
from tests.images import search_splits
from tests.states import STATES

PACKAGE = Path(fashion_hpo.__file__).parent
ROOT = PACKAGE.parent
COMMAND = re.compile(
    r"(?:python -m fashion_hpo\.|`(?:mlflow|optuna|apt-get|make)\b|-m (?:pip|mlflow) )[^`\n]*"
)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
MAKERS = {"study_command", "register_command", "command_for", "forced"}
"""Functions that return a command for a message."""
NO_ADVICE = {
    "design/sentences.py", "terminal/command_line.py",  # make commands for messages elsewhere
}  # fmt: skip
QUOTING = {
    "predict.py": {"--explain"},
    "register.py": {"--force"},
    "design/plan.py": {"--more-seeds", "--set"},
    "measuring/searches.py": {"--table"},
    "measuring/trials.py": {"--set", "--side-by-side"},
}
"""Options that a message repeats or a measurement types, but that nobody is told to type."""
ADVICE: Mapping[str, tuple[str, ...]] = {
    "commands/test_addresses.py::test_printed_commands_name_the_store_for_a_shell": (
        "stores/addresses.py",
    ),
    "commands/test_advice.py::test_a_check_says_how_to_get_more_seeds": (
        "analysis/checks/training.py",
    ),
    "commands/test_advice.py::test_a_claim_outside_its_regime_says_which_budget_asks": (
        "analysis/statistics/regime.py",
    ),
    "commands/test_advice.py::test_a_claim_whose_study_was_not_run_gets_a_verdict": (
        "analysis/findings.py",
    ),
    "commands/test_advice.py::test_a_list_that_is_too_long_is_printed": (
        "design/config.py",
        "design/study_file.py",
        "training/architectures/__init__.py",
    ),
    "commands/test_advice.py::test_a_rebuilt_database_gets_its_reports_again": ("doctor.py",),
    "commands/test_advice.py::test_a_search_is_confirmed_before_it_is_registered": (
        "running/confirmation.py",
    ),
    "commands/test_advice.py::test_a_study_without_a_result_gets_one": (
        "analysis/answers.py",
        "stores/ranking.py",
    ),
    "commands/test_advice.py::test_a_study_without_results_gets_some": ("analysis/records.py",),
    "commands/test_advice.py::test_a_tracking_database_of_another_store_is_left": (
        "stores/relocation.py",
    ),
    "commands/test_advice.py::test_another_spec_is_refused_until_a_revision_is_asked_for": (
        "engines/sharing.py",
        "stores/opening.py",
    ),
    "commands/test_advice.py::test_lost_logits_are_looked_for": ("stores/predictions.py",),
    "commands/test_advice.py::test_pages_have_the_command_that_makes_them_again": (
        "reporting/page/parts.py",
    ),
    "commands/test_advice.py::test_the_note_of_a_study_has_its_command": (
        "reporting/page/note.py",
    ),
    "commands/test_advice.py::test_the_end_of_a_study_tells_what_can_be_typed": ("study.py",),
    "commands/test_delete.py::"
    "test_nothing_goes_before_it_was_shown_and_the_printed_command_deletes_it": ("delete.py",),
    "commands/test_doctor.py::test_a_copy_is_a_store_of_its_own": ("stores/copying.py",),
    "commands/test_doctor.py::test_a_damaged_mirror_is_all_that_is_told_until_it_is_rebuilt": (
        "integrity/store_invariants.py",
    ),
    "commands/test_doctor.py::test_a_sound_store_takes_one_line": ("stores/layout.py",),
    "commands/test_own_data.py::test_the_options_that_are_told_for_bad_data_help": (
        "design/data_set.py",
        "replaying/replay.py",
        "training/data.py",
        "training/own_data.py",
    ),
    "commands/test_gc.py::test_models_go_by_what_is_told_and_everything_works_without_them": (
        "gc.py",
    ),
    "commands/test_export.py::test_the_champion_is_exported_by_what_is_told": (
        "registering/export.py",
        "serving/exported.py",
    ),
    "commands/test_export.py::test_the_config_is_taken_by_train": ("train.py",),
    "commands/test_completion.py::test_bash_completes_commands_options_and_studies": (
        "completion.py",
    ),
    "commands/test_register.py::test_an_altered_champion_is_replaced_by_force_alone": (
        "registering/final_results.py",
    ),
    "commands/test_register.py::test_the_first_winner_is_champion_and_a_worse_one_is_refused": (
        "register.py",
        "registering/retraining.py",
    ),
    "commands/test_renamed.py::test_a_renamed_study_is_told_where_its_results_are": (
        "analysis/renamed.py",
    ),
    "commands/test_status.py::test_an_empty_store_says_how_to_begin": ("status.py",),
    "commands/test_store.py::test_a_damaged_store_is_mended_before_it_is_moved": (
        "integrity/moving.py",
    ),
    "commands/test_store.py::test_a_cluster_of_several_nodes_takes_a_store_once_it_is_moved": (
        "engines/ray.py",
    ),
    "commands/test_store.py::test_a_study_goes_to_another_store_in_a_file": (
        "integrity/ledger_file.py",
    ),
    "commands/test_study.py::test_compiled_networks_are_for_a_gpu_and_for_a_new_study": (
        "training/devices.py",
    ),
    "commands/test_store.py::test_after_a_move_the_printed_line_leads_to_the_study": ("store.py",),
    "commands/test_ui_pages.py::test_the_report_leads_to_a_trials_run_and_the_run_back": (
        "running/publish.py",
    ),
    "engines/test_engines.py::test_options_of_a_cluster_need_a_cluster": (
        "terminal/engine_options.py",
    ),
    "faults/test_others.py::test_a_deleted_experiment_is_restored_by_what_is_typed": (
        "stores/tracking.py",
    ),
    "faults/test_others.py::test_a_model_that_is_gone_for_good_can_be_trained_again": (
        "registering/registration.py",
    ),
    "faults/test_others.py::test_what_was_deleted_comes_back": (
        "doctor.py",
        "integrity/invariants.py",
        "stores/registry.py",
    ),
    "integrity/test_rebuilding.py::test_tracking_elsewhere_is_refused": (
        "integrity/rebuilding.py",
    ),
    "measuring/test_cluster.py::test_all_trials_are_run_once_and_counted": (
        "measuring/cluster.py",
    ),
    "measuring/test_room.py::test_more_than_fit_are_refused_with_the_number_that_fits": (
        "measuring/room.py",
    ),
    "stores/test_checkpoints.py::test_a_place_that_cannot_be_written_is_refused": (
        "stores/checkpoints.py",
    ),
    "stores/test_schema.py::test_an_older_schema_is_left_as_it_is_and_the_upgrade_command_works": (
        "stores/schema.py",
    ),
    "test_installation.py::test_what_a_command_without_packages_says_to_type_works": (
        "terminal/environment.py",
    ),
    "training/test_sources.py::test_missing_files_are_named_whichever_part_is_read": (
        "training/originals.py",
        "training/sources.py",
    ),
}
PLANS: Mapping[str, Plan] = {
    "tiny": plans.design(seeds=1),
    "tiny_search": plans.search(trials=3, pruner="none", finalists=1, fresh_seeds=2),
}


def messages(path: Path) -> Iterator[str]:
    """The texts in a file that are no docstring and no help of an argument, and what makes such."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_argument"):
            left_out |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MAKERS:
            yield "`python -m fashion_hpo."
        if isinstance(node, ast.JoinedStr):
            yield "".join(p.value if isinstance(p, ast.Constant) else "X" for p in node.values)  # type: ignore[misc]
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


def tells_a_command(path: Path) -> bool:
    name = path.relative_to(PACKAGE).as_posix()
    texts = list(messages(path))
    options = {option for text in texts for option in OPTION.findall(text)}
    return any(map(COMMAND.search, texts)) or bool(options - QUOTING.get(name, set()))


def test_every_place_that_tells_a_command_has_a_test_that_types_it() -> None:
    telling = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")
               if tells_a_command(path)}  # fmt: skip
    assert telling - NO_ADVICE == {place for places in ADVICE.values() for place in places}
    for test in ADVICE:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), test


class Person:
    """Types commands in a folder with both studies, on a store that is not the default one."""

    def __init__(self, store: Store) -> None:
        self.root, self.store = store.root.parent, store

    @property
    def quick(self) -> str:
        """The command of the study `tiny` under its quick budget."""
        return f"python -m fashion_hpo.study tiny --budget quick --store {self.place}"

    @property
    def place(self) -> str:
        return shlex.quote(str(self.store.root))

    def type(self, command: str) -> tuple[int, str]:
        """Run one of our commands as it is; exit code and all that it printed, in one line."""
        name, *arguments = shlex.split(command.removeprefix("python -m fashion_hpo."))
        if name in ("study", "register"):
            arguments += ["--device", "cpu"]
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            try:
                code = int(importlib.import_module(f"fashion_hpo.{name}").main(arguments))
            except SystemExit as ended:  # argparse
                code = int(ended.code or 0)
        return code, " ".join(printed.getvalue().split())

    def on_store(self, command: str) -> tuple[int, str]:
        return self.type(f"{command} --store {self.place}")

    def take(self, store: Path) -> None:
        """Have a copy of a store instead of the empty one."""
        shutil.rmtree(self.store.root)
        copied(store, self.store.root)

    def told_by(self, command: str, *words: str) -> str:
        """The command that a command tells to type; it has all of these words."""
        _, text = self.on_store(command)
        told = re.findall(r"`(python -m fashion_hpo\.[^`]+)`", text)
        fitting = [each for each in told if all(word in each for word in words)]
        assert fitting, text
        return str(fitting[0])

    def session(self, name: str, budget: str = "standard") -> Session:
        spec, question = PLANS[name].spec, PLANS[name].question
        plan = make_plan(name, question, spec, budget)
        return open_session(self.store, plan, device="cpu", splits=search_splits())


class Quick(NamedTuple):
    """A store, and what its only command printed: that of the quick budget."""

    person: Person
    text: str


@pytest.fixture(scope="module")
def quick(
    splits: SearchSplits, fresh_databases: Path, tmp_path_factory: pytest.TempPathFactory
) -> Quick:
    """Typed once for all tests, which take copies."""
    folder = tmp_path_factory.mktemp("quick")
    person = Person(Store.at(shutil.copytree(fresh_databases, folder / "my runs")))
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, splits, patch, __name__, PLANS)
        code, text = person.type(person.quick)
    assert code == 0, text
    gc.collect()  # closes the databases
    return Quick(person, text)


@pytest.fixture
def person(
    splits: SearchSplits, fresh_databases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Person:
    enter(tmp_path, splits, monkeypatch, __name__, PLANS)
    return Person(Store.at(shutil.copytree(fresh_databases, tmp_path / "my runs")))


@pytest.fixture
def after_quick(quick: Quick, person: Person) -> Person:
    """Who has typed the command of the quick budget."""
    person.take(quick.person.store.root)
    return person


def test_a_study_without_results_gets_some(person: Person, quick: Quick) -> None:
    for command in ("report tiny --budget quick", "register tiny --budget quick"):
        assert person.told_by(command, "study tiny --budget quick") == person.quick
    person.take(quick.person.store.root)
    assert person.on_store("report tiny --budget quick")[0] == 0


def test_a_study_without_a_result_gets_one(person: Person) -> None:
    """Where every point failed the same command trains nothing: another revision does."""
    session = person.session("tiny", "quick")
    told = person.told_by("report tiny", "study tiny --budget quick")
    assert "--revise" not in told
    assert person.told_by("register tiny", "study tiny --budget quick") == told
    STATES["all failed"](session.ledger)
    code, text = person.type(told)
    assert code == 0
    assert "register " not in text, "there is nothing to register"
    told = person.told_by("register tiny", "study tiny --budget quick", "--revise")
    assert person.told_by("report tiny", "--revise") == told
    assert "python -m fashion_hpo.study tiny --budget standard" in person.type(told)[1]
    assert "No trial is complete" not in person.on_store("report tiny")[1]


def test_the_end_of_a_study_tells_what_can_be_typed(quick: Quick, after_quick: Person) -> None:
    """After a quick study the next budget: its winner is no model for the test images."""
    person, next_ = after_quick, "python -m fashion_hpo.study tiny --budget standard --store"
    assert "fashion_hpo.register" not in quick.text
    assert f"next {next_} {quick.person.place}" in quick.text
    (own,) = re.findall(r"yours (python -m fashion_hpo\.study --new \w+)", quick.text)
    assert person.type(own)[0] == 0
    command = f"{next_} {person.place}"
    assert person.told_by("register tiny --budget quick", "study tiny") == command
    _, text = person.type(command)
    assert f"python -m fashion_hpo.register tiny --budget standard --store {person.place}" in text
    ledger = person.session("tiny").ledger
    won = winner(ledger.entries())
    assert won is not None
    tracker = Tracker(person.store, "tiny")
    assert candidate(ledger, tracker).attempt.uid == won.chosen.attempt.uid


def test_a_claim_whose_study_was_not_run_gets_a_verdict(person: Person, quick: Quick) -> None:
    told = person.told_by("claims --budget quick", "study tiny --budget quick")
    assert told == person.quick
    assert "T.a NOT RUN HERE" in person.on_store("claims --budget quick")[1]
    person.take(quick.person.store.root)
    assert "T.a NOT RUN HERE" not in person.on_store("claims --budget quick")[1]
    told = person.told_by("claims", "study dropout_ablation")
    assert person.type(f"{told} --dry-run")[0] == 0


def test_a_check_says_how_to_get_more_seeds(person: Person) -> None:
    """Its option counts from the budget's seeds, also where the study has more by now."""
    STATES["one level, others failed"](person.session("tiny").ledger)
    records = of_ledger(person.session("tiny").ledger)
    assert seeds_of("tiny --budget standard --more-seeds 2", records) == 3
    more = replace(records, plan=replace(records.plan, seeds=3))
    assert seeds_of("tiny --budget standard --more-seeds 4", more) == 5


def seeds_of(command: str, records: Records) -> int:
    """How many seeds a study has by the command that adds two."""
    told = _more_seeds(records, 2)
    assert told == f"`python -m fashion_hpo.study {command}`"
    more = int(command.rpartition(" ")[2])
    return make_plan("tiny", "", PLANS["tiny"].spec, "standard", more_seeds=more).seeds


def test_a_search_is_confirmed_before_it_is_registered(person: Person) -> None:
    STATES["all complete"](person.session("tiny_search", "quick").ledger)
    told = person.told_by("register tiny_search", "study tiny_search --budget quick")
    assert person.type(told)[0] == 0
    assert "are left" not in person.on_store("register tiny_search --budget quick")[1]


def test_another_spec_is_refused_until_a_revision_is_asked_for(person: Person) -> None:
    person.session("tiny", "quick")
    command = "study tiny --budget quick --set epochs=1"
    code, text = person.on_store(command)
    assert (code, "run the same command with --revise" in text) == (2, True), text
    assert person.on_store(f"{command} --revise")[0] == 0


def test_lost_logits_are_looked_for(person: Person, finished_store: Path) -> None:
    """Where the doctor has no copy either, training again is what is left."""
    person.take(finished_store)  # two seeds: one decides nothing anyway
    shutil.rmtree(person.store.root / "logits")
    for path in person.store.artifacts.rglob(FILE):
        path.unlink()
    told = person.told_by("report tiny", "doctor tiny --fix")
    assert person.type(told)[0] == 1
    told = person.told_by("doctor tiny", "study tiny --budget standard --revise")
    assert person.type(told)[0] == 0
    assert "doctor tiny" not in person.on_store("report tiny")[1]


def test_a_rebuilt_database_gets_its_reports_again(after_quick: Person) -> None:
    person = after_quick
    (person.store.root / "mlflow.db").unlink()
    told = person.told_by("doctor", "--rebuild-mlflow")
    code, text = person.type(told)
    assert code == 0, text
    (report, *_) = re.findall(r"`(python -m fashion_hpo\.report [^`]+)`", text)
    assert person.type(report.replace("NAME", "tiny"))[0] == 0


def test_pages_have_the_command_that_makes_them_again(after_quick: Person) -> None:
    person = after_quick
    person.on_store("report tiny --budget quick")
    person.on_store("claims")
    for page in person.store.root.rglob("*.html"):
        told = [
            unescape(each)
            for each in re.findall(r"<pre><code>(.*?)</code>", page.read_text(encoding="utf-8"))
        ]
        if page.name in ("report.html", "claims.html"):
            before = page.stat().st_mtime_ns
            assert person.type(told[-1])[0] == 0, told
            assert page.stat().st_mtime_ns > before


def test_the_note_of_a_study_has_its_command(quick: Quick, after_quick: Person) -> None:
    person = after_quick
    tracker = Tracker(person.store, "tiny")
    run = tracker.client.get_run(str(tracker.run_of(person.session("tiny", "quick").ledger.uid)))
    (told,) = re.findall(r"Its command: `(.*)`", run.data.tags["mlflow.note.content"])
    assert told == quick.person.quick, "the note is from before the copy was made"
    assert person.type(person.quick)[0] == 0


def test_a_claim_outside_its_regime_says_which_budget_asks(person: Person) -> None:
    STATES["one level, others failed"](person.session("tiny", "quick").ledger)
    records = of_ledger(person.session("tiny", "quick").ledger)
    sentence = outside(Regime(at={"dropout": 0.5}, reaches=0.9, steps=10), records)
    (told,) = re.findall(r"; `(.*)` asks", sentence)
    assert told == "python -m fashion_hpo.study tiny --budget standard"
    assert person.on_store(f"{told.removeprefix('python -m fashion_hpo.')} --dry-run")[0] == 0


@pytest.mark.parametrize("command", ["train --list", "study --list"])
def test_a_list_that_is_too_long_is_printed(person: Person, command: str) -> None:
    """Also from a command that names a store, which `train` does not take."""
    text = on_store(f"type `python -m fashion_hpo.{command}`", arguments("--store=runs"))
    (told,) = re.findall(r"`([^`]+)`", text)
    assert person.type(told)[0] == 0


def test_a_tracking_database_of_another_store_is_left(
    after_quick: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = after_quick
    monkeypatch.setenv("MLFLOW_TRACKING_URI", person.store.tracking_uri)
    code, text = person.type("study tiny --budget quick --store other")
    assert code != 0
    assert "unset it to track in" in text
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert person.type("study tiny --budget quick --store other")[0] == 0
