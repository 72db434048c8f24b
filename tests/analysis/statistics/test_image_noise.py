"""The noise of the finite validation images, from trials' logits made by hand and really stored."""

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution

from fashion_hpo.analysis.intervals import image_noise
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.estimates import MeasuredEffect, find
from fashion_hpo.analysis.statistics.verdicts import judge
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.claims import Claim
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, StudySpec, levels
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.predictions import FILE, PredictionFiles, Predictions
from fashion_hpo.stores.tracking import Tracker
from tests.analysis.made import claim, plan

CONTRAST = ("dropout", 0.0, 0.5)


def of_images(measure: str) -> Callable[[Predictions], np.ndarray]:
    """The measure's value of every image."""
    per_image = MEASURES[measure].per_image
    assert per_image is not None
    return lambda of: per_image(of.logits, of.labels)


correct, loss, brier = map(of_images, ("val_accuracy", "val_loss", "brier_score"))
PART = Part("val_loss", "lower", contrast=CONTRAST)
IMAGES = 300


def predictions(
    draw: np.random.Generator, skill: float, shared: np.ndarray | float = 0.0
) -> Predictions:
    """Of one trial; `shared` (images, 10) is what an image does to several."""
    labels = np.arange(IMAGES) % 10
    logits = draw.normal(size=(IMAGES, 10)) + skill * np.eye(10)[labels] + shared
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


def tuned_on_images(store: Store, *, without: tuple[int, ...] = ()) -> Records:
    """Two levels by two rates by three seeds that disagree on the better rate, with predictions."""
    draw, rows, hashes = np.random.default_rng(5), [], {}
    contrast = Claim(
        id="T.a", text="?", measure="value", contrast=("dropout", 0.0, 0.5), direction="higher"
    )
    spec = StudySpec(
        base=TrainConfig(learning_rate=1e-3),
        scientific={"dropout": levels(0.0, 0.5)},
        nuisance={"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)},
        nuisance_points=2,
        nuisance_base=True,
        claims=[contrast],
        budgets={"standard": Budget()},
    )
    shared = {level: draw.normal(size=(IMAGES, 10)) for level in (0.0, 0.5)}
    for number, (seed, rate, level) in enumerate(product(range(3), (1e-3, 5e-3), (0.0, 0.5))):
        found, uid = predictions(draw, 2 + level, shared[level]), f"uid-{number}"
        if number not in without:
            hashes[uid] = keep(store, uid, found)
        rows.append({
            "trial": number, "uid": uid, "outcome": "complete", "dropout": level,
            "learning_rate": rate, "seed_index": seed, "value": correct(found).mean(),
            "last_val_accuracy": correct(found).mean(), "epochs_done": 5, "kept_epoch": 5.0,
        })  # fmt: skip
    files = PredictionFiles(store, "tiny", "tiny/standard/r1", hashes)
    plan = make_plan("tiny", "Does it?", spec, "standard")
    epochs = pd.DataFrame(columns=["trial", "epoch"])
    return Records(plan, "l", "u", "h", pd.DataFrame(rows), epochs, 0, files)


def found_in(records: Records, part: Part = PART) -> MeasuredEffect:
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
    files, measured = records.predictions, of_images(measure)
    assert files is not None
    values = np.stack([measured(files.read(f"uid-{number}")) for number in range(6)])
    assert found.estimate.values == pytest.approx((values[1::2] - values[::2]).mean(axis=1))
    assert found.estimate.images == pytest.approx(image_noise(values[1::2] - values[::2]))
    assert found.basis == "3 seeds, 300 images"


def test_the_verdict_says_what_it_rests_on(tmp_path: Path) -> None:
    (verdict,) = judge(stored(Store.at(tmp_path)))
    assert ", 3 seeds, 300 images; claimed lower" in verdict.sentence


def test_at_the_bases_own_nuisance_values_the_images_are_those_of_its_trials(
    tmp_path: Path,
) -> None:
    records = tuned_on_images(Store.at(tmp_path))
    found = found_in(records, Part("value", "higher", contrast=CONTRAST, untuned=True))
    files = records.predictions
    assert files is not None
    right = [files.read(f"uid-{4 * seed + level}") for seed in range(3) for level in range(2)]
    values = np.stack([correct(each) for each in right])
    gains = values[1::2] - values[::2]
    assert found.estimate.values == pytest.approx(gains.mean(axis=1))
    assert found.estimate.images == pytest.approx(image_noise(gains))
    assert image_noise(gains).variance > 0


def test_an_interaction_and_a_mean_carry_it_too(tmp_path: Path) -> None:
    records = stored(Store.at(tmp_path))
    level = Part("val_loss", "lower", figure=1.0, at={"dropout": 0.5})
    assert found_in(records, level).estimate.images is not None
    ratio = Part("val_loss", "lower", contrast=CONTRAST, relative=True)
    assert found_in(records, ratio).estimate.images is None


@pytest.mark.parametrize("without", [0, 5])
def test_where_a_trial_has_no_logits_there_is_no_interval(tmp_path: Path, without: int) -> None:
    found = found_in(stored(Store.at(tmp_path), without=without))
    assert math.isnan(found.estimate.interval().low)
    assert math.isnan(found.estimate.p_above(0.0))
    assert found.basis == (
        f"3 seeds, no interval because the validation logits of trial {without} were never written"
    )


def test_what_is_no_mean_over_images_has_no_such_noise(tmp_path: Path) -> None:
    found = found_in(stored(Store.at(tmp_path)), Part("roughness", "lower", contrast=CONTRAST))
    assert (found.estimate.images, found.basis) == (None, "3 seeds")


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    records = stored(store)
    (store.trial_folder("uid-3") / "files" / FILE).write_bytes(b"PK no archive")
    assert str(found_in(records).missing) == "the validation logits of trial 3 were altered"


def test_a_gap_carries_the_noise_of_the_validation_images_and_says_so(tmp_path: Path) -> None:
    records = stored(Store.at(tmp_path))
    gap = found_in(records, Part("generalization_gap", "lower", contrast=CONTRAST))
    of_loss = found_in(records).estimate.images
    assert gap.estimate.images == of_loss is not None
    assert gap.basis == "3 seeds, 300 images (of validation alone)"
    (verdict,) = judge(replace(records, plan=plan(claim())))
    assert "3 seeds, 300 images (of validation alone); claimed lower" in verdict.sentence


@pytest.mark.parametrize("measure", ["generalization_gap", "val_loss", "val_accuracy"])
def test_logits_of_an_earlier_epoch_give_the_last_no_interval(tmp_path: Path, measure: str) -> None:
    records = stored(Store.at(tmp_path), kept=3)
    found = found_in(records, Part(measure, "lower", contrast=CONTRAST))
    assert math.isnan(found.estimate.interval().low)
    assert str(found.missing) == (
        "the validation logits of trial 3 are those of its best epoch, "
        f"and the {MEASURES[measure].at(None)} is of its last"
    )
    other = Part(measure, "lower", figure=0.0, at={"dropout": 0.0})
    assert found_in(records, other).estimate.images is not None  # trial 3 has dropout 0.5
    of_model = found_in(records, Part("brier_score", "lower", contrast=CONTRAST))
    assert of_model.estimate.images is not None


class Held:
    """Predictions that are not in files."""

    def __init__(self, of: dict[str, Predictions]) -> None:
        self.read = of.__getitem__


def simulated(draw: np.random.Generator, images: int = IMAGES) -> tuple[Records, np.ndarray]:
    """Two levels by three seeds; some images gain more by dropout than others, and the training
    sample's loss is the seed's own.  And the validation losses, (seeds, levels, images)."""
    helped, rows, held, losses = 1 + 1.5 * draw.standard_normal(images), [], {}, []
    labels = draw.integers(0, 10, images).astype(np.uint8)
    for number, (seed, level) in enumerate((s, d) for s in range(3) for d in (0.0, 0.5)):
        margin = 2 + 2 * level * helped + 0.3 * draw.standard_normal(images)
        of = Predictions(margin[:, None] * np.eye(10)[labels], labels)
        held[f"uid-{number}"] = of
        losses.append(loss(of))
        rows.append({
            "trial": number, "uid": f"uid-{number}", "outcome": "complete", "dropout": level,
            "seed_index": seed, "epochs_done": 5, "kept_epoch": 5.0,
            "generalization_gap": losses[-1].mean() - 0.3 - 0.01 * draw.standard_normal(),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    made = Records(plan(claim()), "tiny", "uid", "hash", table, pd.DataFrame(), 0, Held(held))
    return made, np.reshape(losses, (3, 2, images))


GAP = Part("generalization_gap", "lower", contrast=CONTRAST)


def test_resampled_images_move_a_gap_as_far_as_the_closed_form_says() -> None:
    """Drawn again, images bring along their own part and the rest; that is the seeds' as well."""
    draw = np.random.default_rng(1)
    records, losses = simulated(draw)
    gains = losses[:, 1] - losses[:, 0]  # (seeds, images)
    drawn = draw.integers(0, IMAGES, (4000, IMAGES))
    resampled = gains.mean(axis=0)[drawn].mean(axis=1).var()
    rest = gains - gains.mean(axis=0) - gains.mean(axis=1, keepdims=True) + gains.mean()
    of_rest = (rest**2).sum() / (2 * (IMAGES - 1)) / (3 * IMAGES)
    images = found_in(records, GAP).estimate.images
    assert images is not None
    assert images.variance + of_rest == pytest.approx(resampled, rel=0.1)
    assert images.variance > 10 * of_rest


def test_over_many_studies_a_gap_varies_as_seeds_and_images_together_say() -> None:
    draw = np.random.default_rng(2)
    found = [found_in(simulated(draw, 100)[0], GAP).estimate for _ in range(120)]
    true = np.var([each.mean for each in found], ddof=1)
    of_seeds = np.mean([each.values.var(ddof=1) / 3 for each in found])
    of_images = np.mean([each.images.variance for each in found if each.images])
    assert of_seeds < 0.4 * true
    assert of_seeds + of_images == pytest.approx(true, rel=0.25)


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
    assert found_in(other).estimate.images == before, "what was read is kept"
    shutil.rmtree(store.root / "logits")
    other = replace(records, predictions=PredictionFiles(store, "tiny", "tiny/standard/r2", hashes))
    assert str(found_in(other).missing) == "the validation logits of trial 0 are missing"
