import json
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from fashion_hpo.design.config import (
    EPOCH_METRICS,
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
    ("train_images", 9), ("train_images", 50_001),
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
    ("early_stopping_patience", -1), ("early_stopping_delta", -0.1),
    ("seed", -1), ("seed", 2**63), ("seed", 10**400),
]  # fmt: skip
ALLOWED_ENDS: list[tuple[str, Any]] = [
    ("dropout", 0.0), ("dropout", 0.999), ("train_images", 128), ("train_images", 50_000),
    ("epochs", 1), ("epochs", 10_000), ("batch_size", 2), ("batch_size", 50_000),
    ("learning_rate", 1e-12), ("learning_rate", 10.0), ("momentum", 0.0), ("weight_decay", 1.0),
    ("final_learning_rate", 0.0), ("mixup_alpha", 100.0), ("early_stopping_patience", 10_000),
    ("seed", 2**63 - 1),
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
    ],
)  # fmt: skip
def test_text_becomes_the_fields_type(name: str, text: str, value: Any) -> None:
    found = parse_field(name, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("epochs", "7.5", r"epochs is '7\.5'; allowed is a number \(int\)"),
        ("dropout", "half", r"dropout is 'half'; allowed is a number \(float\)"),
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
