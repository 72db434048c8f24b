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


def test_the_peaks_of_cycles_decay() -> None:
    config = TrainConfig(
        schedule="cyclical", learning_rate=0.5, final_learning_rate=0.1, cycle_epochs=1,
        cycle_decay=0.5, epochs=3,
    )  # fmt: skip
    assert rates(config, 2) == pytest.approx([0.1, 0.5, 0.1, 0.3, 0.1, 0.2])


def test_a_cycle_may_be_a_part_of_an_epoch() -> None:
    config = TrainConfig(
        schedule="cyclical", learning_rate=1, final_learning_rate=0, cycle_epochs=0.5, epochs=1
    )
    assert rates(config, 8) == pytest.approx([0, 0.5, 1, 0.5] * 2)


def test_step_falls_by_its_factor_after_so_many_epochs() -> None:
    config = TrainConfig(
        schedule="step", learning_rate=1, step_epochs=1.5, step_factor=0.5, epochs=4
    )
    assert rates(config, 4) == [1.0] * 6 + [0.5] * 6 + [0.25] * 4


def test_a_step_is_at_least_one_optimizer_step() -> None:
    config = TrainConfig(
        schedule="step", learning_rate=1, step_epochs=0.01, step_factor=0.5, epochs=1
    )
    assert rates(config, 4) == [1, 0.5, 0.25, 0.125]


def test_a_warm_up_rises_in_a_line_to_the_constant_rate() -> None:
    config = TrainConfig(schedule="constant", learning_rate=1, warmup_epochs=0.75, epochs=2)
    assert rates(config, 4) == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 5])


def test_cosine_after_a_warm_up_still_ends_with_the_last_step() -> None:
    config = TrainConfig(learning_rate=0.5, final_learning_rate=0.1, epochs=5, warmup_epochs=2)
    found = rates(config, 10)
    assert found[:20] == sorted(found[:20])
    assert found[0] == pytest.approx(0.5 / 21)
    assert found[20] == max(found) == 0.5
    assert found[20:] == sorted(found[20:], reverse=True)
    assert found[-1] == pytest.approx(0.1)
    shorter = rates(config.replace(epochs=3, warmup_epochs=0), 10)
    assert found[20:] == shorter


@pytest.mark.parametrize("schedule", ["step", "cyclical"])
def test_a_schedule_begins_after_its_warm_up(schedule: str) -> None:
    config = TrainConfig(
        schedule=schedule, learning_rate=0.8, final_learning_rate=0.2, cycle_epochs=2,  # type: ignore[arg-type]
        step_epochs=2, epochs=5, warmup_epochs=1,
    )  # fmt: skip
    found = rates(config, 3)
    assert found[3:] == rates(config.replace(epochs=4, warmup_epochs=0), 3)
    assert found[:3] == pytest.approx([found[3] / 4, found[3] / 2, found[3] * 3 / 4])
