import pytest

from fashion_hpo.terminal.durations import clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"), (0, "0 s"), (12.4, "12 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
        (200, "3 min 20 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)  # fmt: skip
def test_a_duration_in_words(seconds: float, text: str) -> None:
    assert clock(seconds) == text
