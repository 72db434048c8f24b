"""Trials that fail: exceptions, memory, losses that are no numbers."""

import math
from functools import partial

import pytest
import torch

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.stores.ledger import Ledger, Result
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, ledger_of
from tests.plans import TINY, design

PLAN = design(seeds=2)
OWN_BUG = KeyError("a mistake of ours")
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def results(ledger: Ledger) -> list[Result]:
    return [entry.result for entry in ledger.entries() if entry.result is not None]


@pytest.mark.parametrize("write", [".pt file written", "model written", "documents written"])
@pytest.mark.parametrize("error", [OWN_BUG, RuntimeError("mat1 and mat2 shapes"), MemoryError()])
def test_an_exception_in_a_trial_fails_that_trial_alone(
    lab: Lab, write: str, error: Exception
) -> None:
    memory = isinstance(error, MemoryError)
    store = lab.store()
    assert lab.run(store, PLAN, partial(child.raising_at, Moment(write), error)) == 0
    lab.inject("memory runs out once" if memory else "an exception in a trial")
    ledger = lab.check(store, PLAN, same=memory and write != ".pt file written")
    outcomes = [result.outcome for result in results(ledger)]
    if memory:
        assert outcomes == ["complete"] * 4, "tried again, in smaller pieces"
        assert results(ledger)[0].hardware["micro_batch"] == "12"
    else:
        assert outcomes == ["failed", *["complete"] * 3]
        assert type(error).__name__ in results(ledger)[0].reason
        assert "in throw" in results(ledger)[0].traceback


def test_memory_that_runs_out_twice_fails_the_trial(lab: Lab) -> None:
    store = lab.store()
    assert lab.run(store, PLAN, out_of_memory_twice) == 0
    lab.inject("memory runs out twice")
    first, *rest = results(lab.check(store, PLAN, same=False))
    assert first.outcome == "failed"
    assert "out of memory" in first.reason
    assert {result.outcome for result in rest} == {"complete"}


def out_of_memory_twice() -> None:
    for nth in (1, 2):
        child.raising_at(Moment(".pt file written", nth), OUT_OF_MEMORY)


def test_a_network_too_large_for_the_memory_is_trained_in_pieces(lab: Lab) -> None:
    """A real limit: one pass of 400 images does not fit, a quarter does."""
    large = TrainConfig(
        architecture="cnn", architecture_options={"channels": 128}, train_images=400,
        batch_size=400, epochs=1, precision="fp32",
    )  # fmt: skip
    plan = design(base=large, seeds=1, scientific={"dropout": (0.0,)}, claims=[])
    store = lab.store()
    assert lab.run(store, plan, partial(child.with_memory_left, 375)) == 0
    lab.inject("a network too large for the memory")
    (result,) = results(lab.check(store, plan, same=False))
    assert result.outcome == "complete", result.reason
    assert result.hardware["micro_batch"] == "100"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_loss_that_is_no_number_ends_the_trial_and_is_no_best_value(
    lab: Lab, value: float, epoch: int
) -> None:
    store = lab.store()
    assert lab.run(store, PLAN, partial(child.with_loss, value, epoch)) == 0
    lab.inject(f"a loss of {value}")
    ledger = lab.check(store, PLAN, same=False)
    first, *rest = results(ledger)
    assert (first.outcome, len(first.history)) == ("diverged", epoch)
    assert [result.outcome for result in rest] == ["complete"] * 3
    best = ledger.best()
    assert best is not None
    assert best.attempt.number != 0


def test_a_study_whose_trials_all_fail_halts_and_can_be_gone_on_with(lab: Lab) -> None:
    base = TINY.replace(architecture="three_block_cnn", architecture_options={"channels": 10**6})
    plan = design(base=base)
    store = lab.store()
    assert lab.run(store, plan) == child.HALTED
    lab.inject("all trials fail", 3)
    assert [result.outcome for result in results(ledger_of(store, plan))] == ["failed"] * 3
    assert lab.run(store, plan) == 0, "one point was left: below the cap"
    assert [result.outcome for result in results(lab.check(store, plan, same=False))] == [
        "failed"
    ] * 4
