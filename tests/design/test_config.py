import json
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from fashion_hpo.design.config import (
    EPOCH_METRICS,
    FIRST_FIELDS,
    Epoch,
    TrainConfig,
    field_names,
    parse_field,
)

EPOCH = Epoch(
    epoch=3, train_loss=0.5, train_eval_loss=0.4, train_eval_accuracy=0.9, val_loss=0.6,
    val_accuracy=0.8, learning_rate=1e-3, seconds=2, images_per_second=900, timestamp=1_700_000,
)  # fmt: skip

OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("dropout", -0.1), ("dropout", 1.0), ("dropout", math.nan),
    ("train_images", 9), ("train_images", 10_000_001),
    ("epochs", 0), ("epochs", 10_001),
    ("batch_size", 1), ("batch_size", 50_001),
    ("accumulation", 0), ("accumulation", 1001),
    ("learning_rate", 0.0), ("learning_rate", -1.0), ("learning_rate", 10.1),
    ("learning_rate", math.nan), ("learning_rate", math.inf),
    ("momentum", 1.0), ("momentum", -0.1),
    ("weight_decay", -1e-9), ("weight_decay", 1.1),
    ("final_learning_rate", -1e-9), ("final_learning_rate", 11.0),
    ("cycle_epochs", 0.0), ("cycle_epochs", math.inf),
    ("label_smoothing", 1.0), ("mixup_alpha", -0.1), ("mixup_alpha", 101.0),
    ("cutmix_alpha", -0.1), ("cutmix_alpha", math.inf),
    ("step_epochs", 0.0), ("step_epochs", math.inf), ("step_factor", 0.0), ("step_factor", 1.1),
    ("warmup_epochs", -0.1), ("warmup_epochs", math.nan), ("head_l2", -1e-9), ("head_l2", 101.0),
    ("rotation", -1.0), ("rotation", 180.1), ("shift", 0.51), ("zoom", 0.51), ("zoom", math.nan),
    ("cycle_decay", 0.0), ("cycle_decay", 1.1), ("head_l2_layers", 0), ("head_l2_layers", 101),
    ("warp", -0.1), ("warp", 1.1), ("shift_pixels", -1), ("shift_pixels", 15),
    ("shear", 45.1), ("flip", 1.1), ("flip", -0.1), ("erasing", 1.1), ("erasing", math.nan),
    ("randaugment_operations", -1), ("randaugment_operations", 15),
    ("randaugment_magnitude", -1), ("randaugment_magnitude", 31),
    ("early_stopping_patience", -1), ("early_stopping_delta", -0.1),
    ("seed", -1), ("seed", 2**63), ("seed", 10**400),
]  # fmt: skip
ALLOWED_ENDS: list[tuple[str, Any]] = [
    ("dropout", 0.0), ("dropout", 0.999), ("train_images", 128), ("train_images", 50_000),
    ("epochs", 1), ("epochs", 10_000), ("batch_size", 2), ("batch_size", 50_000),
    ("learning_rate", 1e-12), ("learning_rate", 10.0), ("momentum", 0.0), ("weight_decay", 1.0),
    ("final_learning_rate", 0.0), ("mixup_alpha", 100.0), ("early_stopping_patience", 10_000),
    ("seed", 2**63 - 1),
    ("step_factor", 1.0), ("head_l2", 100.0), ("cutmix_alpha", 100.0), ("rotation", 180.0),
    ("cycle_decay", 1.0), ("head_l2_layers", 100), ("warp", 0.0), ("shift_pixels", 14),
    ("shift", 0.5), ("zoom", 0.5), ("shear", 45.0), ("flip", 1.0), ("erasing", 1.0),
    ("randaugment_operations", 14), ("randaugment_magnitude", 0), ("randaugment_magnitude", 30),
    ("mixup_per_image", True),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), OUT_OF_RANGE)
def test_a_value_out_of_its_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError) as error:
        TrainConfig(**{field: value})
    assert str(error.value).startswith(f"{field} is {value!r}; allowed is ")


@pytest.mark.parametrize(("field", "value"), ALLOWED_ENDS)
def test_both_ends_of_a_range_are_allowed(field: str, value: Any) -> None:
    config = TrainConfig(**{"schedule": "constant", field: value})
    assert getattr(config, field) == value


def test_a_schedule_that_would_rise_to_its_end_is_refused() -> None:
    with pytest.raises(
        ValueError, match="final_learning_rate is 1e-05, above learning_rate, 1e-06"
    ):
        TrainConfig(learning_rate=1e-6)


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_other_schedules_do_not_end_there(schedule: Any) -> None:
    assert TrainConfig(learning_rate=1e-6, schedule=schedule).learning_rate == 1e-6


@pytest.mark.parametrize("warmup", [3.0, 3.5])
def test_a_warm_up_that_leaves_no_epoch_is_refused(warmup: float) -> None:
    with pytest.raises(ValueError, match=f"^warmup_epochs is {warmup}, and epochs is 3; leave"):
        TrainConfig(epochs=3, warmup_epochs=warmup)
    assert TrainConfig(epochs=3, warmup_epochs=2.9).warmup_epochs == 2.9


@pytest.mark.parametrize("field", ["pixel_range", "optimizer", "schedule", "precision"])
@pytest.mark.parametrize("value", ["Adam ", "", None, 3])
def test_a_choice_that_is_none_is_refused_with_the_choices(field: str, value: Any) -> None:
    with pytest.raises(ValueError) as error:
        TrainConfig(**{field: value})
    assert str(error.value).startswith(f"{field} is {value!r}; choose one of ")
    assert getattr(TrainConfig(), field) in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 3.0), ("epochs", "3"), ("epochs", True), ("epochs", None),
        ("learning_rate", "1e-3"), ("learning_rate", True), ("dropout", None),
        ("architecture", None), ("architecture", 3), ("architecture_options", "channels=3"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError) as error:
        TrainConfig(**{field: value})
    assert str(error.value).startswith(f"{field} is {value!r}; allowed is a ")


@pytest.mark.parametrize("value", [1, 0, "true", None, 1.0])
def test_a_switch_is_true_or_false(value: Any) -> None:
    with pytest.raises(ValueError) as error:
        TrainConfig(mixup_per_image=value)
    assert str(error.value) == f"mixup_per_image is {value!r}; allowed is True or False."


def test_a_batch_larger_than_the_training_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch_size is 128, .* train_images, 100"):
        TrainConfig(train_images=100)


def test_a_whole_number_for_a_float_is_the_same_config() -> None:
    config = TrainConfig(dropout=0, learning_rate=1)
    assert config == TrainConfig(dropout=0.0, learning_rate=1.0)
    assert json.dumps(config.to_dict()) == json.dumps(
        TrainConfig(dropout=0.0, learning_rate=1.0).to_dict()
    )


def test_a_config_comes_back_from_json() -> None:
    config = TrainConfig(architecture_options={"channels": 8}, optimizer="sgd", seed=2**62)
    values = json.loads(json.dumps(config.to_dict()))
    assert tuple(values) == field_names()
    assert TrainConfig.from_dict(values) == config


def test_a_config_that_uses_no_later_field_has_the_identity_that_it_had_before_them() -> None:
    """As the first version wrote it into checkpoints and ledgers."""
    assert json.dumps(TrainConfig().identity(), sort_keys=True) == (
        '{"accumulation": 1, "architecture": "cnn", "architecture_options": {}, '
        '"batch_size": 128, "cycle_epochs": 4.0, "dropout": 0.0, "early_stopping_delta": 0.0, '
        '"early_stopping_patience": 0, "epochs": 20, "final_learning_rate": 1e-05, '
        '"label_smoothing": 0.0, "learning_rate": 0.001, "mixup_alpha": 0.0, "momentum": 0.9, '
        '"optimizer": "adam", "pixel_range": "unit", "precision": "auto", "schedule": "cosine", '
        '"seed": 0, "train_images": 50000, "weight_decay": 0.0}'
    )


def test_a_later_field_that_is_used_is_part_of_the_identity() -> None:
    for name in set(field_names()) - FIRST_FIELDS:
        default = getattr(TrainConfig, name)
        used = TrainConfig(**{name: (not default) if type(default) is bool else default / 4 + 0.5
                              if type(default) is float else default + 1})  # fmt: skip
        assert used.identity() == {**TrainConfig().identity(), name: getattr(used, name)}
        assert TrainConfig.from_dict(used.identity()) == used


def test_the_first_fields_are_in_every_identity() -> None:
    assert set(TrainConfig().identity()) == FIRST_FIELDS < set(field_names())


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^lerning_rate is not a field.*learning_rate"):
        TrainConfig.from_dict({"lerning_rate": 0.1})
    with pytest.raises(ValueError, match=r"^lerning_rate is not a field"):
        TrainConfig().replace(lerning_rate=0.1)


def test_replace_changes_a_copy_and_checks_it() -> None:
    config = TrainConfig(seed=4)
    assert config.replace(dropout=0.5) == TrainConfig(seed=4, dropout=0.5)
    assert config.dropout == 0
    with pytest.raises(ValueError, match=r"dropout is 2\.0"):
        config.replace(dropout=2.0)


def test_a_config_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainConfig().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "7", 7), ("learning_rate", "1e-3", 1e-3), ("dropout", "0", 0.0),
        ("optimizer", "sgd", "sgd"), ("architecture", "cnn", "cnn"),
        ("mixup_per_image", "true", True), ("mixup_per_image", "False", False),
        ("randaugment_operations", "2", 2), ("rotation", "10", 10.0),
    ],
)  # fmt: skip
def test_text_becomes_the_fields_type(name: str, text: str, value: Any) -> None:
    found = parse_field(name, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("epochs", "7.5", r"epochs is '7\.5'; allowed is a whole number"),
        ("dropout", "half", r"dropout is 'half'; allowed is a number"),
        ("mixup_per_image", "yes", r"mixup_per_image is 'yes'; allowed is true or false\."),
        ("mixup_per_image", "1", r"mixup_per_image is '1'; allowed is true or false\."),
        ("epoch", "7", r"epoch is not a field of TrainConfig; .*epochs"),
        ("architecture_options", "{}", r"architecture_options cannot be set here"),
    ],
)
def test_text_that_fits_no_field_is_refused_by_name(name: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_field(name, text)


@pytest.mark.parametrize("field", ["train_loss", "train_eval_loss", "val_loss"])
@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_an_epoch_with_a_loss_that_is_not_finite_has_diverged(field: str, loss: float) -> None:
    assert not EPOCH.diverged
    changes: dict[str, Any] = {field: loss}
    assert replace(EPOCH, **changes).diverged


def test_the_metrics_of_an_epoch_are_all_but_its_number_and_time() -> None:
    metrics = EPOCH.metrics()
    assert tuple(metrics) == EPOCH_METRICS
    assert set(EPOCH_METRICS) == {
        "train_loss", "train_eval_loss", "train_eval_accuracy", "val_loss", "val_accuracy",
        "learning_rate", "seconds", "images_per_second",
    }  # fmt: skip
    assert all(type(value) is float for value in metrics.values())
    assert metrics["seconds"] == 2.0


def test_the_config_needs_the_standard_library_alone() -> None:
    code = "import sys, fashion_hpo.design.config; print({'torch', 'numpy'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
