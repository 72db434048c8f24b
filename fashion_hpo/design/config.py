"""`TrainConfig`: all settings of one trial; `Epoch`: the metrics of one pass over the data.

Imports the standard library only, so that a machine with torch and numpy alone can train a config.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from fashion_hpo.design.checks import is_number, make_plain, plain
from fashion_hpo.design.sentences import did_you_mean, listed

TRAIN_IMAGES = 50_000
"""Images of Fashion-MNIST's training split; a config may use a nested, stratified subset."""

MOST_IMAGES = 10_000_000
"""Of any data set's training split; more than the data set has means all."""

MOST_FOLDS = 10_000
SEEDED = ("seed", "fold")
"""The fields that differ between repetitions of one setting."""

Option = bool | int | float | str
Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "cosine", "cyclical", "step"]
PixelRange = Literal["unit", "symmetric"]
Precision = Literal["auto", "fp32", "bf16"]

FALL_TO_FINAL = ("cosine", "cyclical")
"""Schedules whose low end is `final_learning_rate`."""

FIRST_FIELDS = frozenset((
    "architecture", "architecture_options", "dropout", "train_images", "pixel_range", "epochs",
    "batch_size", "accumulation", "optimizer", "learning_rate", "momentum", "weight_decay",
    "schedule", "final_learning_rate", "cycle_epochs", "label_smoothing", "mixup_alpha",
    "early_stopping_patience", "early_stopping_delta", "precision", "seed",
))  # fmt: skip
"""The fields that are part of every id.  Never add a field here, and never change the default of
another field: see `TrainConfig.identity`."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings that decide how a network is trained.

    Raises ValueError, naming field, value and what is allowed, for a value out of range.
    """

    architecture: str = "cnn"
    architecture_options: Mapping[str, Option] = field(default_factory=dict)
    dropout: float = 0.0
    train_images: int = TRAIN_IMAGES
    pixel_range: PixelRange = "unit"  # [0, 1] or [-1, 1]
    epochs: int = 20
    batch_size: int = 128  # images per forward pass; per optimizer step unless accumulated
    accumulation: int = 1  # forward passes per optimizer step
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9  # of SGD
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    final_learning_rate: float = 1e-5  # the end of cosine, and the low end of a cycle
    cycle_epochs: float = 4.0  # one rise and fall of the cyclical schedule
    cycle_decay: float = 1.0  # the peak of each cycle is multiplied by it
    step_epochs: float = 5.0  # between two steps of the step schedule
    step_factor: float = 0.1  # the rate is multiplied by it at each step
    warmup_epochs: float = 0.0  # of linear rise, before any schedule
    label_smoothing: float = 0.0
    decay_weights_only: bool = False  # norms, biases and embeddings (positions, tokens): no decay
    head_l2: float = 0.0  # λ of λ·‖W‖², W the last linear layer's weights, added to the loss
    head_l2_layers: int = 1  # of so many last linear layers
    mixup_alpha: float = 0.0  # 0: no MixUp
    mixup_per_image: bool = False  # λ per image instead of per batch
    cutmix_alpha: float = 0.0  # 0: no CutMix; with MixUp, each batch gets one of the two
    rotation: float = 0.0  # largest angle in degrees, in both directions
    shift: float = 0.0  # largest shift as a share of the side, along both axes
    zoom: float = 0.0  # the size is multiplied by 1 - zoom to 1 + zoom
    shear: float = 0.0  # largest angle in degrees, in both directions
    warp: float = 1.0  # multiplies rotation, shift, zoom and shear; 0: none of them
    shift_pixels: int = 0  # largest shift in whole pixels, which blurs nothing, along both axes
    flip: float = 0.0  # probability of mirroring left to right
    randaugment_operations: int = 0  # N operations on each image; 0: no RandAugment
    randaugment_magnitude: int = 9  # M, of 31 steps
    erasing: float = 0.0  # probability of erasing a rectangle
    early_stopping_patience: int = 0  # epochs without a lower validation loss; 0: off
    early_stopping_delta: float = 0.0  # smallest decrease that counts
    precision: Precision = "auto"
    fold: int = 0  # which images are validation images; 0: the fixed split
    seed: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        _check_types(self)
        for name, (allowed, holds) in _RANGES.items():
            value = getattr(self, name)
            if not holds(value):  # refuses NaN too: every comparison with NaN is false
                raise ValueError(f"{name} is {value!r}; allowed is {allowed}.")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in choices:
                raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
        if self.schedule in FALL_TO_FINAL and self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate is {self.final_learning_rate}, above learning_rate, "
                f"{self.learning_rate}; a {self.schedule} schedule falls to it, so lower it."
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs is {self.warmup_epochs}, and epochs is {self.epochs}; leave the "
                "schedule some epochs after the warm-up."
            )
        if self.batch_size > self.train_images:
            raise ValueError(
                f"batch_size is {self.batch_size}, more than train_images, {self.train_images}; "
                "lower batch_size or raise train_images."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """A config from the values of `to_dict`; raises ValueError for an unknown field."""
        unknown = sorted(set(values) - set(field_names()))
        if unknown:
            raise ValueError(_no_field(unknown[0]))
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {name: plain(getattr(self, name)) for name in field_names()}

    def identity(self) -> dict[str, Any]:
        """`to_dict` without fields that were added later and have their default value.

        Ids, hashes and checkpoints use it: with a new field, those of earlier configs stay the
        same, and their studies can be resumed.
        """
        return {
            name: value
            for name, value in self.to_dict().items()
            if name in FIRST_FIELDS or value != getattr(TrainConfig, name)
        }

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        batches = math.ceil(self.train_images / self.batch_size)
        return self.epochs * math.ceil(batches / self.accumulation)

    def replace(self, **changes: Any) -> "TrainConfig":
        """The config with some fields changed; raises ValueError for an unknown field."""
        return TrainConfig.from_dict({**self.to_dict(), **changes})


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training images; losses are mean cross entropies in nats."""

    epoch: int  # from 1
    train_loss: float  # as trained: with dropout, augmentation, label smoothing; without penalties
    train_eval_loss: float  # evaluation mode, clean images, a fixed sample of the training split
    train_eval_accuracy: float  # 0 to 1
    val_loss: float
    val_accuracy: float
    learning_rate: float  # of the last step
    seconds: float  # training and evaluation
    images_per_second: float  # of training alone
    timestamp: int  # of the end, milliseconds since 1970

    @property
    def diverged(self) -> bool:
        """Whether a loss is not finite."""
        return not all(map(math.isfinite, (self.train_loss, self.train_eval_loss, self.val_loss)))

    def metrics(self) -> dict[str, float]:
        """The logged metrics by name."""
        return {name: float(getattr(self, name)) for name in EPOCH_METRICS}


EPOCH_METRICS = tuple(
    f.name for f in dataclasses.fields(Epoch) if f.name not in ("epoch", "timestamp")
)


def field_names() -> tuple[str, ...]:
    """The names of all fields of TrainConfig, in order."""
    return tuple(f.name for f in dataclasses.fields(TrainConfig))


def _no_field(name: str) -> str:
    every = f"the fields are {listed(field_names(), '`python -m fashion_hpo.train --list`')}."
    return f"{name} is not a field of TrainConfig; {did_you_mean(name, field_names()) or every}"


def check_varied(role: str, name: str) -> None:
    """Raise ValueError, beginning with the role, for a field that no study may vary."""
    allowed = [f for f in field_names() if f not in (*SEEDED, "architecture_options")]
    if name in field_names() and name not in allowed:
        raise ValueError(f"{role} has {name!r}, which no study may vary; leave it out.")
    if name not in allowed:
        every = f"the fields are {listed(allowed, '`python -m fashion_hpo.train --list`')}."
        raise ValueError(f"{role} has {name!r}; {did_you_mean(str(name), allowed) or every}")


def parse_field(name: str, text: str) -> Any:
    """The text of `--set name=text` as the field's type; raises ValueError, naming the field."""
    types = {f.name: f.type for f in dataclasses.fields(TrainConfig)}
    if name not in types:
        raise ValueError(_no_field(name))
    if types[name] in (int, float):
        kind: Any = types[name]
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"{name} is {text!r}; allowed is {_KINDS[kind]}.") from None
    if types[name] is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{name} is {text!r}; allowed is true or false.")
        return text.lower() == "true"
    if name == "architecture_options":
        raise ValueError("architecture_options cannot be set here; write them in a study file.")
    return text


def _check_types(config: TrainConfig) -> None:
    for f in dataclasses.fields(TrainConfig):
        value = getattr(config, f.name)
        if f.type is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(config, f.name, float(value))  # 0 and 0.0 make the same config
        elif f.type in _KINDS and type(value) is not f.type:
            raise ValueError(f"{f.name} is {value!r}; allowed is {_KINDS[f.type]}.")
    if not isinstance(config.architecture, str):
        raise ValueError(f"architecture is {config.architecture!r}; allowed is a name.")
    if not isinstance(config.architecture_options, Mapping):
        raise ValueError(
            f"architecture_options is {config.architecture_options!r}; allowed is a dict."
        )
    for name, value in config.architecture_options.items():
        if not isinstance(value, bool | str) and not is_number(value):
            raise ValueError(
                f"architecture_options[{name!r}] is {value!r}; allowed is True, False, a finite "
                "number or a text."
            )


_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "True or False"}

_CHOICES = {
    "pixel_range": get_args(PixelRange),
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "precision": get_args(Precision),
}

_RANGES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "dropout": ("0 up to, not including, 1", lambda v: 0 <= v < 1),
    "train_images": (f"10 to {MOST_IMAGES}", lambda v: 10 <= v <= MOST_IMAGES),
    "epochs": ("1 to 10000", lambda v: 1 <= v <= 10_000),
    "batch_size": (
        f"2 to {TRAIN_IMAGES} (batch normalisation needs two images)",
        lambda v: 2 <= v <= TRAIN_IMAGES,
    ),
    "accumulation": ("1 to 1000", lambda v: 1 <= v <= 1000),
    "learning_rate": ("more than 0, up to 10", lambda v: 0 < v <= 10),
    "momentum": ("0 up to, not including, 1", lambda v: 0 <= v < 1),
    "weight_decay": ("0 to 1", lambda v: 0 <= v <= 1),
    "final_learning_rate": ("0 to 10", lambda v: 0 <= v <= 10),
    "cycle_epochs": ("more than 0, up to 10000", lambda v: 0 < v <= 10_000),
    "cycle_decay": ("more than 0, up to 1", lambda v: 0 < v <= 1),
    "step_epochs": ("more than 0, up to 10000", lambda v: 0 < v <= 10_000),
    "step_factor": ("more than 0, up to 1", lambda v: 0 < v <= 1),
    "warmup_epochs": ("0 (off) to 10000", lambda v: 0 <= v <= 10_000),
    "label_smoothing": ("0 up to, not including, 1", lambda v: 0 <= v < 1),
    "head_l2": ("0 (off) to 100", lambda v: 0 <= v <= 100),
    "head_l2_layers": ("1 to 100", lambda v: 1 <= v <= 100),
    "mixup_alpha": ("0 (off) to 100", lambda v: 0 <= v <= 100),
    "cutmix_alpha": ("0 (off) to 100", lambda v: 0 <= v <= 100),
    "rotation": ("0 (off) to 180 degrees", lambda v: 0 <= v <= 180),
    "shift": ("0 (off) to 0.5 of the side", lambda v: 0 <= v <= 0.5),
    "zoom": ("0 (off) to 0.5", lambda v: 0 <= v <= 0.5),
    "shear": ("0 (off) to 45 degrees", lambda v: 0 <= v <= 45),
    "warp": ("0 (off) to 1", lambda v: 0 <= v <= 1),
    "shift_pixels": ("0 (off) to 14", lambda v: 0 <= v <= 14),
    "flip": ("0 (off) to 1", lambda v: 0 <= v <= 1),
    "randaugment_operations": ("0 (off) to 14", lambda v: 0 <= v <= 14),
    "randaugment_magnitude": ("0 to 30", lambda v: 0 <= v <= 30),
    "erasing": ("0 (off) to 1", lambda v: 0 <= v <= 1),
    "early_stopping_patience": ("0 (off) to 10000", lambda v: 0 <= v <= 10_000),
    "early_stopping_delta": ("0 to 100", lambda v: 0 <= v <= 100),
    "fold": (f"0 (the fixed split) to {MOST_FOLDS}", lambda v: 0 <= v <= MOST_FOLDS),
    "seed": ("0 to 2**63 - 1", lambda v: 0 <= v < 2**63),
}
