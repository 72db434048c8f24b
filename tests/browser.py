"""A browser without a window: the text of a page after its scripts have run, and its picture."""

import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

PICTURES = "FASHION_HPO_PICTURES"
"""The environment variable that names a folder; pages that are looked at leave a picture there."""
VIRTUAL_MS = 20_000  # the page's clock, which runs ahead while the page waits for nothing

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is here")


def text_of(address: str, name: str, size: tuple[int, int] = (1400, 900)) -> str:
    """What a page shows, its spaces single; with `PICTURES` also its picture, NAME.png."""
    if folder := os.environ.get(PICTURES):
        _run(address, f"--screenshot={Path(folder).resolve() / name}.png", size)
    document = _run(address, "--dump-dom", size)
    shown = re.sub(r"<(script|style|svg).*?</\1>", " ", document, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", shown)).split())


def _run(address: str, action: str, size: tuple[int, int]) -> str:
    assert BROWSER is not None
    command = [
        BROWSER, "--headless", "--disable-gpu", "--hide-scrollbars", action,
        f"--virtual-time-budget={VIRTUAL_MS}", f"--window-size={size[0]},{size[1]}", address,
    ]  # fmt: skip
    if os.geteuid() == 0:  # Chromium's sandbox refuses root
        command.insert(1, "--no-sandbox")
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    return ended.stdout
