import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fashion_hpo.design.config import FIRST_FIELDS, TrainConfig
from fashion_hpo.training import train as training
from fashion_hpo.training.architectures import CATALOGUE, build_for
from fashion_hpo.training.augment.geometry import Flip
from fashion_hpo.training.augment.rows import rows_of
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.evaluate import logits_of, score
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.training.tiny import curve, tiny_config, trained, weights

WAYS_TO_TRAIN: list[dict[str, Any]] = [
    {"optimizer": "adam", "weight_decay": 1e-3},
    {"optimizer": "adamw", "weight_decay": 1e-2, "schedule": "constant"},
    {"optimizer": "adamw", "weight_decay": 0.1, "decay_weights_only": True},
    {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "schedule": "cyclical"},
    {"mixup_alpha": 0.4, "label_smoothing": 0.1},
    {"early_stopping_patience": 2, "early_stopping_delta": 0.05, "epochs": 4},
    {"accumulation": 3, "pixel_range": "symmetric"},
    {"train_images": 129, "batch_size": 64},  # the last batch is one image
    {"mixup_alpha": 0.4, "mixup_per_image": True},
    {"cutmix_alpha": 1.0, "head_l2": 0.01},
    {"mixup_alpha": 0.4, "cutmix_alpha": 1.0},
    {"rotation": 10, "shift": 0.1, "zoom": 0.1, "shear": 10, "pixel_range": "symmetric"},
    {"randaugment_operations": 2},
    {"flip": 0.5, "erasing": 0.5, "shift_pixels": 2},
    {"schedule": "step", "step_epochs": 0.5, "step_factor": 0.5, "warmup_epochs": 0.5},
]
ALL_AUGMENTATIONS: dict[str, Any] = {
    "mixup_alpha": 0.4, "mixup_per_image": True, "cutmix_alpha": 1.0, "rotation": 10, "shift": 0.1,
    "zoom": 0.1, "shear": 10, "warp": 0.9, "shift_pixels": 1, "flip": 0.5,
    "randaugment_operations": 2, "erasing": 0.5,
}  # fmt: skip
CONFIGS = {
    **{name: tiny_config(name, train_images=40, batch_size=32, epochs=2) for name in CATALOGUE},
    **{" ".join(map(str, way)): tiny_config(**way) for way in WAYS_TO_TRAIN},
}
DIVERGING = tiny_config(
    optimizer="sgd", learning_rate=10, weight_decay=1, epochs=9, schedule="constant"
)  # each step multiplies the weights by 1 - 10 * 1

over_configs = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


@over_configs
def test_resumed_from_any_epoch_equals_the_uninterrupted_to_the_bit(
    config: TrainConfig, splits: SearchSplits, hardware: Hardware, tmp_path: Path
) -> None:
    whole = TrainingState(config, build_for(config), hardware)
    for epoch in epochs_of(train(whole, splits)):
        whole.save(tmp_path / str(epoch.epoch))
    assert len(whole.history) > 1
    for epoch in whole.history:
        torch.rand(7)  # whatever else the process draws
        seed = config.seed if "prompts" in config.architecture else 99  # frozen weights stay
        resumed = TrainingState(config, build_for(config.replace(seed=seed)), hardware)
        resumed.load(tmp_path / str(epoch.epoch))
        rest = list(epochs_of(train(resumed, splits)))
        assert len(rest) == len(whole.history) - epoch.epoch
        assert curve(resumed.history) == curve(whole.history)
        assert weights(resumed.model) == weights(whole.model)


def test_a_checkpoint_from_before_the_later_fields_is_resumed(
    splits: SearchSplits, hardware: Hardware, tmp_path: Path
) -> None:
    """A config that uses none of them is the same config."""
    config = tiny_config()
    whole = TrainingState(config, build_for(config), hardware)
    next(epochs_of(train(whole, splits)))
    whole.save(tmp_path / "checkpoint")
    contents = torch.load(tmp_path / "checkpoint", weights_only=True)
    first = {name: value for name, value in config.to_dict().items() if name in FIRST_FIELDS}
    contents["config"] = json.dumps(first, sort_keys=True)
    torch.save(contents, tmp_path / "checkpoint")
    TrainingState(config, build_for(config), hardware).load(tmp_path / "checkpoint")
    flipped = config.replace(flip=0.5)
    with pytest.raises(ValueError, match="belongs to another config"):
        TrainingState(flipped, build_for(flipped), hardware).load(tmp_path / "checkpoint")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_runs_are_equal_and_another_seed_is_not(
    precision: str, splits: SearchSplits, hardware: Hardware
) -> None:
    hardware = replace(hardware, precision=precision)
    config = tiny_config("optimized_cnn", mixup_alpha=0.2, epochs=2, train_images=128)
    first, again = trained(config, splits, hardware), trained(config, splits, hardware)
    assert curve(first.history) == curve(again.history)
    assert weights(first.model) == weights(again.model)
    other = trained(config.replace(seed=1), splits, hardware)
    assert curve(first.history) != curve(other.history)


@pytest.mark.parametrize(
    "change",
    [
        {"dropout": 0.0}, {"mixup_alpha": 0.5}, {"label_smoothing": 0.2}, {"weight_decay": 0.5},
        {"schedule": "constant"}, {"pixel_range": "symmetric"}, {"optimizer": "adamw"},
        {"batch_size": 32}, {"accumulation": 2}, {"train_images": 300}, {"learning_rate": 0.01},
        {"schedule": "step", "step_epochs": 0.5}, {"warmup_epochs": 0.5}, {"head_l2": 0.1},
        {"cutmix_alpha": 1.0}, {"rotation": 10}, {"shift": 0.1}, {"zoom": 0.1}, {"shear": 10},
        {"flip": 0.5}, {"randaugment_operations": 1}, {"erasing": 0.5}, {"shift_pixels": 1},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_field_changes_the_training(
    change: dict[str, Any], splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(epochs=1, weight_decay=0.1)
    before = trained(config, splits, hardware)
    after = trained(config.replace(**change), splits, hardware)
    assert weights(before.model) != weights(after.model)


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"mixup_alpha": 0.4}, {"mixup_per_image": True}),
        ({"mixup_alpha": 0.4}, {"cutmix_alpha": 1.0}),
        ({"weight_decay": 0.5}, {"decay_weights_only": True}),
        ({"randaugment_operations": 2}, {"randaugment_magnitude": 20}),
        ({"rotation": 10}, {"warp": 0.5}),
        ({"head_l2": 0.1}, {"head_l2_layers": 2}),
        ({"schedule": "cyclical", "cycle_epochs": 0.5}, {"cycle_decay": 0.5}),
        ({"schedule": "step", "step_epochs": 0.5}, {"step_factor": 0.5}),
        ({"schedule": "step", "step_epochs": 0.5}, {"step_epochs": 0.25}),
    ],
)
def test_every_field_of_an_option_changes_the_training(
    options: dict[str, Any], change: dict[str, Any], splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(epochs=1, **options)
    before = trained(config, splits, hardware)
    after = trained(config.replace(**change), splits, hardware)
    assert weights(before.model) != weights(after.model)


def test_patterns_are_learnt(splits: SearchSplits, hardware: Hardware) -> None:
    state = trained(tiny_config(epochs=8, learning_rate=0.01, dropout=0.0), splits, hardware)
    assert state.history[0].val_accuracy < state.history[-1].val_accuracy
    assert state.history[-1].val_accuracy > 0.9
    assert state.history[-1].train_eval_accuracy > 0.9


def test_an_epoch_says_what_the_model_does(splits: SearchSplits, hardware: Hardware) -> None:
    config = tiny_config(epochs=1, schedule="constant", train_images=200)
    state = trained(config, splits, hardware)
    epoch = state.history[0]
    for split, loss, accuracy in (
        (splits.val, epoch.val_loss, epoch.val_accuracy),
        (splits.train.first(200), epoch.train_eval_loss, epoch.train_eval_accuracy),
    ):
        measured = score(logits_of(state.model, split, "unit", hardware), split.labels)
        assert measured == (loss, accuracy)
    assert epoch.epoch == 1
    assert epoch.learning_rate == config.learning_rate
    assert epoch.seconds > 0
    assert epoch.images_per_second > 0


class SeenImages(nn.Module):
    """Keeps the first pixel of every image it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(784, 10)
        self.seen: list[list[int]] = []

    def forward(self, pixels: Tensor) -> Tensor:
        if self.training:
            self.seen.append((pixels[:, 0, 0, 0] * 255).round().int().tolist())
        logits: Tensor = self.layer(pixels.flatten(1))
        return logits


@pytest.fixture
def numbered(splits: SearchSplits) -> SearchSplits:
    """Image i starts with the pixel i."""
    images = splits.train.images[:200].clone()
    images[:, 0, 0] = torch.arange(200)
    return replace(splits, train=Split(images, splits.train.labels[:200]))


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [(200, 64, [64, 64, 64, 8]), (129, 64, [64, 64]), (130, 64, [64, 64, 2]), (60, 60, [60])],
)
def test_an_epoch_sees_each_image_once_but_for_a_lone_last_one(
    images: int, batch_size: int, sizes: list[int], numbered: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(train_images=images, batch_size=batch_size, epochs=2)
    model = SeenImages()
    for _ in train(TrainingState(config, model, hardware), numbered):
        pass
    passes = model.seen[: len(sizes)], model.seen[len(sizes) :]
    assert passes[0] != passes[1]
    for batches in passes:
        assert [len(batch) for batch in batches] == sizes
        seen = list(chain.from_iterable(batches))
        assert len(set(seen)) == sum(sizes)
        assert set(seen) <= set(range(images))


@pytest.mark.parametrize(
    "way",
    [ALL_AUGMENTATIONS, {"mixup_alpha": 0.4}, {"train_images": 129, "pixel_range": "symmetric"}],
)
def test_batches_are_the_same_however_many_are_prepared_together(
    way: dict[str, Any],
    splits: SearchSplits,
    hardware: Hardware,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny_config(**{"batch_size": 16, **way})
    found = []
    for together in (1, 48, 10_000):
        monkeypatch.setattr(training, "PREPARED_TOGETHER", together)
        found.append(trained(config, splits, hardware))
    assert curve(found[0].history) == curve(found[1].history) == curve(found[2].history)
    assert weights(found[0].model) == weights(found[1].model) == weights(found[2].model)


def test_a_lone_last_image_differs_between_epochs(
    numbered: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(train_images=129, batch_size=64, epochs=2)
    model = SeenImages()
    for _ in train(TrainingState(config, model, hardware), numbered):
        pass
    first, second = (set(chain(*model.seen[at : at + 2])) for at in (0, 2))
    assert len(first) == len(second) == 128
    assert first != second


@pytest.mark.parametrize("images", [128, 100])  # in the second, the last part is smaller
def test_accumulated_parts_make_the_step_of_one_large_batch(
    images: int, splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(
        dropout=0.0, epochs=1, train_images=images, optimizer="sgd", learning_rate=0.1,
        schedule="constant",
    )  # fmt: skip
    whole = trained(config.replace(batch_size=64), splits, hardware)
    parts = trained(config.replace(batch_size=16, accumulation=4), splits, hardware)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert whole.history[0].train_loss == pytest.approx(parts.history[0].train_loss, rel=1e-5)


def test_the_schedule_reaches_its_end_with_the_last_step(
    splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(final_learning_rate=1e-4, accumulation=2)
    history = trained(config, splits, hardware).history
    assert history[-1].learning_rate == pytest.approx(1e-4)
    assert history[0].learning_rate > history[1].learning_rate > 2e-4


def test_divergence_ends_the_training_with_its_curve_kept(
    splits: SearchSplits, hardware: Hardware
) -> None:
    state = trained(DIVERGING, splits, hardware)
    assert state.finished
    assert 1 <= len(state.history) < 9
    assert state.history[-1].diverged
    assert not any(epoch.diverged for epoch in state.history[:-1])


def test_a_diverged_training_is_not_resumed(
    splits: SearchSplits, hardware: Hardware, tmp_path: Path
) -> None:
    trained(DIVERGING, splits, hardware).save(tmp_path / "checkpoint")
    state = TrainingState(DIVERGING, build_for(DIVERGING), hardware)
    state.load(tmp_path / "checkpoint")
    assert list(train(state, splits)) == []


def test_early_stopping_ends_with_the_best_weights(
    splits: SearchSplits, hardware: Hardware
) -> None:
    patience = 2
    config = tiny_config(
        epochs=30, early_stopping_patience=patience, optimizer="sgd", learning_rate=0.6,
        momentum=0.5, schedule="constant", dropout=0.0,
    )  # fmt: skip
    state = trained(config, splits, hardware)
    losses = [epoch.val_loss for epoch in state.history]
    best = losses.index(min(losses)) + 1
    assert state.kept_epoch == best == len(losses) - patience
    assert len(losses) < config.epochs
    kept = score(logits_of(state.model, splits.val, "unit", hardware), splits.val.labels)
    assert kept.loss == min(losses)


def test_without_early_stopping_the_last_epoch_is_kept(
    splits: SearchSplits, hardware: Hardware
) -> None:
    state = trained(tiny_config(), splits, hardware)
    assert state.kept_epoch == 3
    kept = score(logits_of(state.model, splits.val, "unit", hardware), splits.val.labels)
    assert kept.loss == state.history[-1].val_loss


def test_the_loop_can_be_left_and_the_model_has_what_was_trained(
    splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config()
    model = build_for(config)
    first = next(epochs_of(train(TrainingState(config, model, hardware), splits)))
    measured = score(logits_of(model, splits.val, "unit", hardware), splits.val.labels)
    assert measured.loss == first.val_loss


def test_nothing_of_the_splits_is_changed(splits: SearchSplits, hardware: Hardware) -> None:
    before = splits.train.images.clone(), splits.train.labels.clone()
    trained(tiny_config(mixup_alpha=1.0, pixel_range="symmetric", epochs=1), splits, hardware)
    trained(tiny_config(**ALL_AUGMENTATIONS, epochs=1), splits, hardware)
    assert torch.equal(splits.train.images, before[0])
    assert torch.equal(splits.train.labels, before[1])


@pytest.mark.parametrize(("pixel_range", "low"), [("unit", 0), ("symmetric", -1)])
def test_augmented_pixels_stay_in_their_range(
    pixel_range: str, low: int, splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(
        **{**ALL_AUGMENTATIONS, "randaugment_magnitude": 30}, pixel_range=pixel_range, epochs=2
    )
    seen: list[Tensor] = []
    model = build_for(config)
    model.register_forward_pre_hook(
        lambda module, given: seen.append(given[0]) if module.training else None
    )
    for _ in train(TrainingState(config, model, hardware), splits):
        pass
    pixels = torch.cat(seen)
    assert pixels.shape == (800, 1, 28, 28)
    assert (pixels.min(), pixels.max()) == (low, 1)


def test_images_keep_their_labels(numbered: SearchSplits, hardware: Hardware) -> None:
    """Whatever happens to an image, the loss is taken against its own label."""
    config = tiny_config(train_images=200, epochs=1, flip=1.0, optimizer="sgd", schedule="constant")
    images = numbered.train.images.flip(-1)
    mirrored = replace(numbered, train=Split(images, numbered.train.labels))
    flipped = trained(config, mirrored, hardware)
    plain = trained(config.replace(flip=0.0), numbered, hardware)
    assert weights(flipped.model) == weights(plain.model)


def test_an_image_meets_its_own_draw_of_each_epoch(
    numbered: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(train_images=200, epochs=2, flip=0.5)
    images = numbered.train.images.clone()
    images[:, 0, -1] = images[:, 0, 0]  # the number, mirrored or not
    seen: list[Tensor] = []
    model = SeenImages()
    model.register_forward_pre_hook(
        lambda module, given: seen.append(given[0]) if module.training else None
    )
    given = replace(numbered, train=Split(images, numbered.train.labels))
    for _ in train(TrainingState(config, model, hardware), given):
        pass
    pixels = (torch.cat(seen)[:, 0] * 255).round().to(torch.uint8)
    for epoch, passed in enumerate(pixels.split(200), start=1):
        rows = passed[:, 0, 0].long()
        assert sorted(rows.tolist()) == list(range(200))
        expected = Flip(config, 200, epoch)(images[rows], rows_of(rows))
        assert torch.equal(passed, expected)


PIECES: list[dict[str, Any]] = [
    {"mixup_alpha": 0.4, "mixup_per_image": True},
    {"cutmix_alpha": 1.0, "label_smoothing": 0.1},
    {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "accumulation": 3},
    {"head_l2": 0.01},
    {"head_l2": 0.01, "accumulation": 3, "randaugment_operations": 2, "erasing": 0.5},
]


@pytest.mark.parametrize("micro_batch", [16, 13, 1])
@pytest.mark.parametrize("way", PIECES, ids=lambda way: " ".join(way))
def test_what_is_mixed_or_penalised_passes_in_pieces_as_well(
    way: dict[str, Any], micro_batch: int, splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config("cnn", dropout=0.0, epochs=1, optimizer="sgd", learning_rate=0.1, **way)
    whole = trained(config, splits, hardware)
    pieces = trained(config, splits, replace(hardware, micro_batch=micro_batch))
    for one, other in zip(whole.model.parameters(), pieces.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert whole.history[0].train_loss == pytest.approx(pieces.history[0].train_loss, rel=1e-4)
