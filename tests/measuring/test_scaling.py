import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fashion_hpo.measuring import gpu, room, scaling
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import open_ledger
from fashion_hpo.training.devices import Hardware
from tests.plans import TINY, design

PLAN = design()


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine with so many."""
    monkeypatch.setattr(scaling, "usable_cores", lambda: request.param)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture(autouse=True)
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """But in the one test that does."""
    if "real_data" not in request.fixturenames:
        monkeypatch.setattr("fashion_hpo.running.processes.context", lambda: pytest.fail("a start"))


@pytest.mark.parametrize(("threads", "cores", "count"), [
    (3, 8, 2), (1, 2, 2), (2, 2, 1), (4, 2, 1),
], indirect=["cores"])  # fmt: skip
def test_a_ledger_keeps_its_threads_and_the_workers_follow(
    store: Store, threads: int, cores: None, count: int
) -> None:
    open_ledger(store, PLAN, "data", threads=threads)
    found, why = scaling.fastest(store, PLAN, None, "cpu")
    assert found == count
    here = scaling.usable_cores()
    assert why == f", because its trials have {threads} thread(s) each on {here} core(s)"


@pytest.mark.parametrize("cores", [8], indirect=True)
@pytest.mark.usefixtures("cores")
def test_threads_that_were_asked_for_have_as_many_workers_as_fit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    why = ", because its trials have 3 thread(s) each on 8 core(s)"
    assert scaling.fastest(store, PLAN, None, "cpu") == (2, why)


@pytest.mark.parametrize("cores", [1], indirect=True)
@pytest.mark.usefixtures("cores")
def test_one_core_has_one_worker(store: Store) -> None:
    assert scaling.fastest(store, PLAN, None, "cpu") == (1, ", for one core")


@pytest.mark.parametrize("cores", [1], indirect=True)
@pytest.mark.usefixtures("cores")
def test_a_revision_is_a_new_ledger(store: Store) -> None:
    open_ledger(store, PLAN, "data", threads=1)
    assert scaling.fastest(store, PLAN, None, "cpu", revise=True) == (1, ", for one core")


@pytest.mark.parametrize(("device", "count"), [("auto", 3), ("cuda", 3), ("cuda:1", 1)])
def test_accelerators_have_a_worker_each(
    store: Store, device: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert scaling.fastest(store, PLAN, None, device) == (count, ", one for each accelerator")


@pytest.mark.parametrize("cores", [2], indirect=True)
@pytest.mark.parametrize(("one", "many", "count"), [
    (1000.0, 1500.0, 2), (1000.0, 1040.0, 1), (1000.0, 700.0, 1),
])  # fmt: skip
@pytest.mark.usefixtures("cores")
def test_several_workers_must_be_worth_their_memory(
    store: Store, one: float, many: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "images_per_second", lambda *_: (one, many))
    monkeypatch.setattr(scaling, "START_SECONDS", 0.0)
    found, why = scaling.fastest(store, PLAN, None, "cpu")
    assert found == count
    told = f"{many:,.0f} images/s with 2 of one thread each, 1,000 with one of 2"
    assert why == f" ({told}, measured)"


@pytest.mark.parametrize("cores", [2], indirect=True)
@pytest.mark.parametrize(("trials", "count"), [(2, 1), (40, 2)])
@pytest.mark.usefixtures("cores")
def test_several_workers_must_save_more_than_they_take_to_start(
    store: Store, trials: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = design(seeds=trials // 2, base=TINY.replace(epochs=10, train_images=1_000))
    monkeypatch.setattr(scaling, "images_per_second", lambda *_: (5_000.0, 6_000.0))
    found, why = scaling.fastest(store, plan, None, "cpu")
    assert found == count
    assert ("starting them takes longer" in why) == (count == 1)


def test_speed_is_measured_alone_and_side_by_side(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "REPEATS", 2)
    monkeypatch.setattr(scaling, "SECONDS", 0.01)
    one, many = scaling.images_per_second(TINY, 2, real_data)
    assert one > 0
    assert many > 0


def test_trials_side_by_side_are_for_captured_steps(hardware: Hardware) -> None:
    assert scaling.side_by_side(design(), hardware, 1) == (1, "")
    classical = design(base=TINY.replace(architecture="svm"))
    assert scaling.side_by_side(classical, replace(hardware, step="captured"), 1) == (1, "")


def test_the_number_of_trials_side_by_side_is_measured(
    hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "AT_ONCE", (1, 2))
    monkeypatch.setattr(scaling, "STEPS", 2)
    base = TINY.replace(accumulation=2, fold=1, warmup_epochs=0.5)
    number, said = scaling.side_by_side(design(base=base), replace(hardware, step="captured"), 1)
    assert number in (1, 2)
    assert re.fullmatch(r"images/s by .* measured: 1: [0-9,]+, 2: [0-9,]+", said)


@pytest.mark.parametrize(
    ("speeds", "room_for", "workers", "number"),
    [
        ({1: 100, 2: 180, 4: 300, 8: 310}, None, 1, 4),
        ({1: 100, 2: 90}, None, 1, 1),
        ({1: 100, 2: 180}, 3, 1, 2),
        ({1: 100}, 3, 2, 1),
        ({1: 100, 2: 180, 4: MemoryError}, None, 1, 2),
        ({1: MemoryError}, None, 1, 1),
    ],
)
def test_as_many_as_pay_and_fit_train_side_by_side(
    speeds: dict[int, object],
    room_for: int | None,
    workers: int,
    number: int,
    hardware: Hardware,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measured(_config: object, _hardware: object, count: int, _steps: int) -> object:
        if speeds[count] is MemoryError:
            raise torch.OutOfMemoryError
        return speeds[count]

    monkeypatch.setattr(gpu, "images_per_second", measured)
    monkeypatch.setattr(room, "fitting", lambda *_: room_for)
    chosen, _ = scaling.side_by_side(design(), replace(hardware, step="captured"), workers)
    assert chosen == number
