"""The page of `serve`, used in a browser as a person would."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import Tab, needs_browser, tab
from tests.commands.test_serve import HOST, champion, free_port, serving

pytestmark = needs_browser
__all__ = ["champion"]  # a fixture

SHOWN = "!document.getElementById('heat').parentElement.hidden"


@pytest.fixture
def page(champion: tuple[Path, Path]) -> Iterator[Tab]:
    port = free_port()
    with serving(champion[0], port), tab() as opened:
        opened.open(f"http://{HOST}:{port}/", (900, 900))
        yield opened


def shirt(path: Path) -> Path:
    """A dark article, off the centre of a light picture."""
    pixels = np.full((300, 400), 240, np.uint8)
    pixels[60:240, 150:250], pixels[60:110, 100:300] = 60, 60
    Image.fromarray(pixels).save(path)
    return path


def test_a_dropped_picture_is_classified_and_its_heat_map_shown(page: Tab, tmp_path: Path) -> None:
    page.drop(shirt(tmp_path / "shirt.png"), "#drop")
    page.wait(SHOWN)
    page.wait("document.getElementById('heat').naturalWidth > 0")
    rows = page.value("[...document.querySelectorAll('td:first-child')].map(c => c.textContent)")
    shares = page.value("[...document.querySelectorAll('td:last-child')].map(c => c.textContent)")
    assert len(rows) == 10
    values = [float(share.removesuffix(" %")) for share in shares]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(100, abs=1)
    assert page.value("document.getElementById('seen').textContent") == rows[0]
    text = page.value("document.getElementById('answer').innerText")
    assert "inverted, because the background is light" in text
    assert "version 1" in text
    page.picture("serve_page")


def test_a_file_that_is_no_picture_is_refused_in_words(page: Tab, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.drop(broken, "#drop")
    page.wait("document.querySelector('#answer .error')")
    assert "not an image" in page.value("document.getElementById('answer').innerText")
    assert not page.value(SHOWN)
