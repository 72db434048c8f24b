import pytest

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.schedules import learning_rate


def rates(config: TrainConfig, steps_per_epoch: int) -> list[float]:
    steps = config.epochs * steps_per_epoch
    return [learning_rate(config, step, steps_per_epoch) for step in range(steps)]


def test_constant_stays() -> None:
    config = TrainConfig(schedule="constant", learning_rate=0.3, epochs=2)
    assert rates(config, 5) == [0.3] * 10


def test_cosine_falls_from_the_high_rate_to_the_low_one_at_the_last_step() -> None:
    config = TrainConfig(learning_rate=0.5, final_learning_rate=0.1, epochs=3)
    found = rates(config, 7)
    assert found[0] == 0.5
    assert found[10] == pytest.approx(0.3)
    assert found[-1] == pytest.approx(0.1)
    assert found == sorted(found, reverse=True)


def test_cosine_of_a_single_step_starts_high() -> None:
    assert rates(TrainConfig(learning_rate=0.5, epochs=1), 1) == [0.5]


def test_cyclical_rises_and_falls_in_triangles() -> None:
    config = TrainConfig(
        schedule="cyclical", learning_rate=0.5, final_learning_rate=0.1, cycle_epochs=2, epochs=4
    )
    one_cycle = [0.1, 0.3, 0.5, 0.3]
    assert rates(config, 2) == pytest.approx(one_cycle * 2)


def test_a_cycle_may_be_a_part_of_an_epoch() -> None:
    config = TrainConfig(
        schedule="cyclical", learning_rate=1, final_learning_rate=0, cycle_epochs=0.5, epochs=1
    )
    assert rates(config, 8) == pytest.approx([0, 0.5, 1, 0.5] * 2)
