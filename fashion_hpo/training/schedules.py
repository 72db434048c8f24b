"""The learning rate of each optimizer step, as a pure function of the config and the step."""

import math

from fashion_hpo.design.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of `step` (from 0): a linear warm-up to the schedule's first rate, then the schedule
    over the remaining steps.

    constant: `learning_rate`.
    cosine: half a cosine to `final_learning_rate` at the last step (Loshchilov & Hutter 2017).
    cyclical: triangles between `final_learning_rate` and `learning_rate` (Smith 2017), each
    `cycle_decay` times as high as the triangle before.
    step: `learning_rate` times `step_factor` after every `step_epochs`.
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return _scheduled(config, 0, warmup, steps_per_epoch) * (step + 1) / (warmup + 1)
    return _scheduled(config, step - warmup, warmup, steps_per_epoch)


def _scheduled(config: TrainConfig, step: int, warmup: int, steps_per_epoch: int) -> float:
    """The rate `step` steps after the warm-up."""
    high, low = config.learning_rate, config.final_learning_rate
    if config.schedule == "constant":
        return high
    if config.schedule == "step":
        period = max(1, round(config.step_epochs * steps_per_epoch))
        return high * config.step_factor ** (step // period)
    if config.schedule == "cosine":
        done = step / max(1, config.epochs * steps_per_epoch - warmup - 1)
        return low + (high - low) * 0.5 * (1 + math.cos(math.pi * done))
    cycle, phase = divmod(step / (config.cycle_epochs * steps_per_epoch), 1.0)
    peak = float(config.cycle_decay**cycle)
    return low + (high - low) * peak * (1 - abs(2 * phase - 1))
