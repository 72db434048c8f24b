"""The noise of the finite validation images, from trials' logits made by hand and really stored."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fashion_hpo.analysis.estimates import Found, find
from fashion_hpo.analysis.images import PER_IMAGE, brier, correct, loss
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import image_noise
from fashion_hpo.analysis.verdicts import judge
from fashion_hpo.design.claims import Part
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.predictions import FILE, PredictionFiles, Predictions
from fashion_hpo.stores.tracking import Tracker
from tests.analysis.made import claim, plan

CONTRAST = ("dropout", 0.0, 0.5)
PART = Part("val_loss", "lower", contrast=CONTRAST)
IMAGES = 300


def predictions(draw: np.random.Generator, skill: float) -> Predictions:
    labels = np.arange(IMAGES) % 10
    logits = draw.normal(size=(IMAGES, 10)) + skill * np.eye(10)[labels]
    return Predictions(logits.astype(np.float16), labels.astype(np.uint8))


def stored(store: Store, *, without: int | None = None, kept: int | None = None) -> Records:
    """Two levels by three seeds of five epochs, with predictions under the trials' own folders.

    `without`: the trial that has no file; `kept`: the trial that ended with an earlier epoch's
    weights.
    """
    draw, rows, hashes = np.random.default_rng(0), [], {}
    for number, (seed, level) in enumerate((s, d) for s in range(3) for d in (0.0, 0.5)):
        found, uid = predictions(draw, 2 + level), f"uid-{number}"
        if number != without:
            hashes[uid] = keep(store, uid, found)
        gap = loss(found).mean() - 0.1 * seed
        rows.append({
            "trial": number, "uid": uid, "outcome": "complete", "dropout": level,
            "seed_index": seed, "value": correct(found).mean(), "last_val_loss": loss(found).mean(),
            "last_val_accuracy": correct(found).mean(), "roughness": 0.1 * level + 0.01 * seed,
            "generalization_gap": gap, "brier_score": brier(found).mean(),
            "epochs_done": 5, "kept_epoch": 3.0 if number == kept else 5.0,
        })  # fmt: skip
    files = PredictionFiles(store, "tiny", "tiny/standard/r1", hashes)
    table, wanted = pd.DataFrame(rows), claim(measure="val_loss")
    return Records(plan(wanted), "tiny", "uid", "hash", table, pd.DataFrame(), 0, files)


def keep(store: Store, uid: str, found: Predictions) -> str:
    """Write a trial's predictions; their sha256."""
    path = store.trial_folder(uid) / "files" / FILE
    path.parent.mkdir(parents=True)
    np.savez(path, logits=found.logits, labels=found.labels)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def found_in(records: Records, part: Part = PART) -> Found:
    found = find(records, part)
    assert found is not None
    return found


def test_measures_of_single_images_by_hand() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]]))
    given = Predictions(logits, np.array([0, 2]))
    assert correct(given).tolist() == [1.0, 0.0]
    assert loss(given) == pytest.approx([-math.log(0.7), -math.log(0.1)])
    assert brier(given) == pytest.approx([0.09 + 0.04 + 0.01, 0.09 + 0.36 + 0.81])


@pytest.mark.parametrize("measure", ["val_loss", "val_accuracy", "value", "brier_score"])
def test_a_contrast_carries_the_noise_of_paired_images(tmp_path: Path, measure: str) -> None:
    records = stored(Store.at(tmp_path))
    found = found_in(records, Part(measure, "lower", contrast=CONTRAST))
    files, measured = records.predictions, PER_IMAGE[measure]
    assert files is not None
    of_trials = [files.of_trial(f"uid-{number}") for number in range(6)]
    values = np.stack([measured(each) for each in of_trials if each is not None])
    assert found.estimate.values == pytest.approx((values[1::2] - values[::2]).mean(axis=1))
    assert found.estimate.images == pytest.approx(image_noise(values[1::2] - values[::2]))
    assert found.basis == "3 seeds, 300 images"


def test_the_verdict_says_what_it_rests_on(tmp_path: Path) -> None:
    (verdict,) = judge(stored(Store.at(tmp_path)))
    assert ", 3 seeds, 300 images; claimed lower" in verdict.sentence


def test_an_interaction_and_a_mean_carry_it_too(tmp_path: Path) -> None:
    records = stored(Store.at(tmp_path))
    level = Part("val_loss", "lower", figure=1.0, at={"dropout": 0.5})
    assert found_in(records, level).estimate.images is not None
    ratio = Part("val_loss", "lower", contrast=CONTRAST, relative=True)
    assert found_in(records, ratio).estimate.images is None


@pytest.mark.parametrize("without", [0, 5])
def test_where_a_trial_has_no_logits_the_seeds_alone_count(tmp_path: Path, without: int) -> None:
    found = found_in(stored(Store.at(tmp_path), without=without))
    assert found.estimate.images is None
    assert found.basis == "3 seeds, image noise unknown"


def test_what_is_no_mean_over_images_has_no_such_noise(tmp_path: Path) -> None:
    found = found_in(stored(Store.at(tmp_path)), Part("roughness", "lower", contrast=CONTRAST))
    assert (found.estimate.images, found.basis) == (None, "3 seeds")


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    records = stored(store)
    (store.trial_folder("uid-3") / "files" / FILE).write_bytes(b"PK no archive")
    assert found_in(records).estimate.images is None


def test_logits_are_found_once_the_mirror_has_them(store: Store, tmp_path: Path) -> None:
    records = stored(store)
    before = found_in(records).estimate.images
    tracker = Tracker(store, "tiny")
    of_study = tracker.study_run("tiny/standard/r1", "of-study", {"question": "?"}, {})
    for number in range(6):
        tags = {"ledger": "tiny/standard/r1"}
        run = tracker.trial_run(f"uid-{number}", of_study, f"{number}", {"a": 1}, tags, "hash")
        folder = store.trial_folder(f"uid-{number}")
        tracker.log_files(run, folder / "files")
        store.remove_trial_files(f"uid-{number}")
    assert records.predictions is not None
    hashes = records.predictions._hashes
    again = replace(records, predictions=PredictionFiles(store, "tiny", "tiny/standard/r1", hashes))
    assert found_in(again).estimate.images == before is not None
    other = replace(records, predictions=PredictionFiles(store, "tiny", "tiny/standard/r2", hashes))
    assert found_in(other).estimate.images is None
