"""The learning rate of each optimizer step, as a pure function of the config and the step."""

import math

from fashion_hpo.design.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The rate for `step` (from 0).

    constant: always `learning_rate`.
    cosine: half a cosine to `final_learning_rate` at the last step (Loshchilov & Hutter 2017).
    cyclical: triangles between `final_learning_rate` and `learning_rate` (Smith 2017).
    """
    high, low = config.learning_rate, config.final_learning_rate
    if config.schedule == "constant":
        return high
    if config.schedule == "cosine":
        done = step / max(1, config.epochs * steps_per_epoch - 1)
        return low + (high - low) * 0.5 * (1 + math.cos(math.pi * done))
    phase = (step / (config.cycle_epochs * steps_per_epoch)) % 1.0
    return low + (high - low) * (1 - abs(2 * phase - 1))
