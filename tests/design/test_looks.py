import pytest

from fashion_hpo.design.looks import error_levels, looks


@pytest.mark.parametrize(
    ("first", "most", "planned"),
    [(3, 3, (3,)), (3, 5, (3, 4, 5)), (3, 10, (3, 5, 7, 8, 10)), (5, 20, (5, 9, 13, 16, 20))],
)
def test_looks_are_at_most_five_and_spread_evenly(
    first: int, most: int, planned: tuple[int, ...]
) -> None:
    assert looks(first, most) == planned


def test_one_look_has_all_of_the_error() -> None:
    assert error_levels([3]) == pytest.approx([0.05])


def test_the_levels_of_five_looks_are_those_of_the_literature() -> None:
    """Bounds of the walk 2.438, 2.427, 2.410, 2.397 and 2.386 (Pocock-like spending, Lan and
    DeMets 1983; two-sided 5 %)."""
    levels = [0.01477, 0.01523, 0.01595, 0.01653, 0.01703]
    assert error_levels([1, 2, 3, 4, 5]) == pytest.approx(levels, abs=2e-5)
    assert error_levels([20, 40, 60, 80, 100]) == pytest.approx(levels, abs=2e-5)
