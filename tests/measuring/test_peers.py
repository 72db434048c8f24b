"""`bench peers`: every peer trains the same trials, at a small size."""

import re

import pytest
import torch

from fashion_hpo import bench
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.measuring import peers
from fashion_hpo.measuring.peers import LAST_RATE, OURS, RATE, Speed, Trials
from fashion_hpo.training.schedules import learning_rate


def test_every_peer_that_is_installed_ends_its_trials_with_a_model_that_has_learned(
    whole: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make faults`: all; otherwise this project alone."""
    if not whole:
        monkeypatch.setattr(peers, "PEERS", {OURS: peers.PEERS[OURS]})
    options = ["--trials", "1", "--images", "2000", "--epochs", "1", "--repeats", "1"]
    assert bench.main(["peers", *options]) == 0
    text = capsys.readouterr().out
    rows = dict(re.findall(r"^  (\S.*?) +[\d.]+ \( *[\d.]+ to .* ([\d.]+)%", text, re.M))
    assert list(rows) == peers.available()
    assert all(50 < float(accuracy) < 90 for accuracy in rows.values()), text
    for name, reason in peers.missing().items():
        assert f"{name:27} not measured: {reason}" in text


def test_a_peer_that_ends_fewer_trials_is_an_error() -> None:
    peers.check_complete("lazy", Trials(2, 100, 1), [0.5, 0.5])
    with pytest.raises(RuntimeError, match=r"lazy ended 1 of 2 trials"):
        peers.check_complete("lazy", Trials(2, 100, 1), [0.5])


def test_the_same_points_whatever_their_number() -> None:
    assert Trials(4, 100, 1).points() == [(0.0, 0), (0.2, 0), (0.4, 0), (0.0, 1)]


def test_all_peers_have_the_rates_of_this_project() -> None:
    trials = Trials(1, 300, 4)
    config = TrainConfig(
        schedule="cosine", learning_rate=RATE, final_learning_rate=LAST_RATE, epochs=trials.epochs
    )
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], RATE)
    scheduler = peers.falling(optimizer, trials)
    for step in range(trials.steps):
        ours = learning_rate(config, step, trials.steps // trials.epochs)
        assert scheduler.get_last_lr() == [pytest.approx(ours, rel=1e-9)]
        optimizer.step()
        scheduler.step()
    assert trials.steps == 4 * 3


def test_a_speed_counts_only_at_the_same_accuracy() -> None:
    ours, slower = Speed([1.0, 2.0, 1.0], [0.8] * 3), Speed([3.0, 4.0, 3.0], [0.803] * 3)
    assert re.search(r"3\.00 \( 3\.00 to  4\.00\) +3\.00 +80\.30%$", peers.row("x", slower, ours))
    better = Speed([3.0, 4.0, 3.0], [0.81] * 3)
    assert peers.row("x", better, ours).endswith("too far from ours for the speed to count")
    assert next(iter(peers.PEERS)) == OURS
