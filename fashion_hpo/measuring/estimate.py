"""Estimate a study's duration from a short measurement, and the size of its models."""

from dataclasses import replace

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan
from fashion_hpo.training.architectures import (
    CLASSICAL,
    build_for,
    parameter_count,
    skeleton,
    without_backbone,
)
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.packaging import flops
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import TRAIN_EVAL_IMAGES, epochs_of, train

SAMPLE_IMAGES = 128
REPEATS = 3  # after a warm-up; the fastest is the one least disturbed by other processes
COMPILING_PAYS = 20_000_000
"""Images that a network of one batch size must be trained on to make up for its compilation: on an
H200 that takes 15 s once, and saves 0.4 to 0.9 µs an image (`cnn`, `resnet9`)."""


def compiling_pays(plan: Plan) -> bool:
    """Whether the plan's networks are trained for long enough on a GPU to be compiled."""
    batch_sizes = plan.scientific.get("batch_size")
    if batch_sizes is None:
        batch_sizes = getattr(plan.ranges.get("batch_size"), "choices", (plan.base.batch_size,))
    compilations = max(1, len(architectures_of(plan)) * len(batch_sizes))
    return plan.image_passes / compilations > COMPILING_PAYS


def seconds(plan: Plan, splits: SearchSplits, hardware: Hardware) -> float:
    """Expected seconds of training and evaluation in all epochs of the plan.

    Measured on short epochs of each of the plan's architectures, which count equally.
    """
    configs = [plan.base.replace(architecture=name) for name in architectures_of(plan)]
    epochs = [_epoch_seconds(config, splits, hardware) for config in configs]
    return plan.epochs * sum(epochs) / len(epochs) if epochs else 0.0


def operations(plan: Plan) -> float:
    """Multiplications and additions of all forward passes over the plan's training images.

    Classical classifiers count nothing.
    """
    names, options = architectures_of(plan), plan.base.architecture_options
    each = [flops(skeleton(name, options)) for name in names]
    return plan.image_passes * sum(each) / len(each) if each else 0.0


def model_bytes(plan: Plan) -> int:
    """Expected size of all models together, in float32."""
    names = architectures_of(plan)
    options = plan.base.architecture_options
    sizes = [4 * parameter_count(skeleton(name, options)) for name in names]
    return plan.trials * sum(sizes) // len(sizes) if sizes else 0


def architectures_of(plan: Plan) -> list[str]:
    """All networks of the plan's levels or ranges, without classical classifiers."""
    levels = plan.scientific.get("architecture")
    if levels is None:
        distribution = plan.ranges.get("architecture")
        levels = getattr(distribution, "choices", (plan.base.architecture,))
    return [str(name) for name in levels if name not in CLASSICAL]


def _epoch_seconds(config: TrainConfig, splits: SearchSplits, hardware: Hardware) -> float:
    images = min(SAMPLE_IMAGES, config.train_images)
    short = without_backbone(config).replace(
        epochs=1 + REPEATS,
        warmup_epochs=0.0,
        train_images=images,
        batch_size=min(config.batch_size, images),
    )
    small = replace(splits, val=splits.val.first(images))
    state = TrainingState(short, build_for(short, info=splits.info), hardware.at(short))
    epochs = list(epochs_of(train(state, small)))[1:]
    training = min(images / epoch.images_per_second for epoch in epochs)
    evaluation = min(epoch.seconds - images / epoch.images_per_second for epoch in epochs)
    evaluated = len(splits.val) + min(TRAIN_EVAL_IMAGES, config.train_images)
    return (config.train_images * training + evaluated * evaluation / 2) / images
