from pathlib import Path

import pytest

from fashion_hpo.measuring import room
from fashion_hpo.training.architectures import CATALOGUE
from fashion_hpo.training.devices import Hardware
from tests.plans import TINY, design
from tests.training.tiny import tiny_config


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_network_has_a_size(name: str) -> None:
    small, large = (room.trial_bytes(tiny_config(name, batch_size=size)) for size in (64, 256))
    assert small[0] == large[0] > 2_048 * 28 * 28 * 4
    assert large[1] > 2 * small[1] > 0


def test_more_than_fit_are_refused_with_the_number_that_fits(
    hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, in_step = room.trial_bytes(TINY)
    monkeypatch.setattr(room, "free_bytes", lambda _: in_step + 5 * kept + kept // 2)
    room.check(design(), hardware, 5)
    with pytest.raises(ValueError, match=r"side-by-side is 6, .* about 5 trial\(s\).* type --side"):
        room.check(design(), hardware, 6)
    room.check(design(), hardware, 2, workers=2)
    with pytest.raises(ValueError, match=r"about 2 .* in each of 2 workers; type --side-by-side 2"):
        room.check(design(), hardware, 3, workers=2)
    room.check(design(), hardware, 1, workers=9)


def test_memory_that_is_unknown_refuses_nothing(
    hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: None)
    room.check(design(), hardware, 10**9)


def test_the_free_memory_is_what_the_system_and_a_container_leave(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\nMemAvailable:     3 kB\n")
    assert room._available(tmp_path / "meminfo") == 3 * 1024
    assert room._available(tmp_path / "absent") is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert room._below_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("250\n")
    assert room._below_limit(tmp_path) == 150
