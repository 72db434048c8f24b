"""Fit a plan to the size of a data set."""

import dataclasses

from fashion_hpo.design.data_set import DataInfo
from fashion_hpo.design.plan import Plan


def fitted_to(plan: Plan, info: DataInfo) -> tuple[Plan, str]:
    """The plan with at most the data set's training images, and a sentence if there were more.

    Raises ValueError if levels or ranges of train_images go beyond the data set.
    """
    levels = plan.scientific.get("train_images", ())
    ranges = plan.ranges.get("train_images")
    choices = getattr(ranges, "choices", (getattr(ranges, "high", 0),))
    most = max((int(value) for value in (*levels, *choices)), default=0)
    if most > info.train:
        raise ValueError(
            f"study {plan.name} varies train_images up to {most:,}, and {info.name} has "
            f"{info.train:,} training images; lower the levels or the range."
        )
    asked = plan.base.train_images
    if asked <= info.train or levels or ranges is not None:
        return plan, ""
    fitted = dataclasses.replace(plan, base=plan.base.replace(train_images=info.train))
    return fitted, all_images(asked, info)


def all_images(asked: int, info: DataInfo) -> str:
    """Says that fewer images are used than a config asks for."""
    return (
        f"train_images is {asked:,}, more than {info.name} has: all {info.train:,} training images "
        "are used"
    )
