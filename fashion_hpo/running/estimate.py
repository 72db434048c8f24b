"""How long a study will take here, from a short measurement."""

from dataclasses import replace

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan
from fashion_hpo.training.architectures import CLASSICAL, build_for, parameter_count, skeleton
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.train import TRAIN_EVAL_IMAGES, train

SAMPLE_IMAGES = 640


def seconds(plan: Plan, splits: SearchSplits, hardware: Hardware) -> float:
    """Expected seconds of training and evaluation if every trial runs to its end.

    Measured on the second of two short epochs of each architecture the plan has; levels are
    taken to be equally frequent.
    """
    names = architectures_of(plan)
    each = [
        _epoch_seconds(plan.base.replace(architecture=name), splits, hardware) for name in names
    ]
    return plan.trials * plan.base.epochs * sum(each) / len(each) if each else 0.0


def model_bytes(plan: Plan) -> int:
    """Expected size of all models together, float32."""
    names = architectures_of(plan)
    options = plan.base.architecture_options
    sizes = [4 * parameter_count(skeleton(name, options)) for name in names]
    return plan.trials * sum(sizes) // len(sizes) if sizes else 0


def architectures_of(plan: Plan) -> list[str]:
    """Every network that the plan has or may propose; classical classifiers are left out."""
    levels = plan.scientific.get("architecture")
    if levels is None:
        distribution = plan.ranges.get("architecture")
        levels = getattr(distribution, "choices", (plan.base.architecture,))
    return [str(name) for name in levels if name not in CLASSICAL]


def _epoch_seconds(config: TrainConfig, splits: SearchSplits, hardware: Hardware) -> float:
    images = min(SAMPLE_IMAGES, config.train_images)
    options = {k: v for k, v in config.architecture_options.items() if k != "backbone"}
    short = config.replace(
        architecture_options=options,  # which weights a network has does not change its speed
        epochs=2,
        warmup_epochs=0.0,
        train_images=images,
        batch_size=min(config.batch_size, images),
    )
    few = replace(splits, val=splits.val.first(images))
    *_, last = train(short, build_for(short), few, hardware.at(short))
    evaluation = (last.seconds - images / last.images_per_second) / (2 * images)
    evaluated = len(splits.val) + min(TRAIN_EVAL_IMAGES, config.train_images)
    return config.train_images / last.images_per_second + evaluated * evaluation
