"""A browser without a window: the text of a page after its scripts have run, and its picture."""

import base64
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

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


class Tab:
    """A page in a browser that does what a person does, by Chromium's DevTools protocol."""

    def __init__(self, commands: int, replies: IO[bytes]) -> None:
        self._commands, self._replies = commands, replies
        self._session: str | None = None
        self._number = 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def open(
        self, address: str, size: tuple[int, int] = (1400, 900), scheme: str = "light"
    ) -> None:
        """Load a page in a window of this size, for a person who likes light or dark pages."""
        like = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=like)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0], height=size[1], deviceScaleFactor=1, mobile=size[0] < 500,
        )  # fmt: skip
        self.call("Page.navigate", url=address)
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'")

    def wait(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true; `_driven` limits the time."""
        self.value(
            f"new Promise(done => {{ const look = () => ({expression}) ? done(true) : "
            "setTimeout(look, 50); look(); })"
        )

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is, or comes to."""
        told = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def drop(self, file: Path, selector: str) -> None:
        """Drop a file on an element."""
        place = self.value(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=place[0], y=place[1], data=data)

    def picture(self, name: str) -> None:
        """Leave a picture of the window in the folder of `PICTURES`, if there is one."""
        if folder := os.environ.get(PICTURES):
            Path(folder, f"{name}.png").write_bytes(self.pixels())

    def pixels(self, *, whole: bool = False) -> bytes:
        """A PNG file of the window, or of the whole page."""
        clip = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {**size, "scale": 1}, "captureBeyondViewport": True}
        return base64.b64decode(self.call("Page.captureScreenshot", **clip)["data"])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            told: dict[str, Any] = json.loads(self._next())
            if told.get("id") == self._number:
                assert "error" not in told, told
                return dict(told["result"])

    def _next(self) -> bytes:
        letters = bytearray()
        while (letter := self._replies.read(1)) != b"\0":
            assert letter, "the browser has ended"
            letters += letter
        return bytes(letters)


@contextmanager
def tab(seconds: float = 300) -> Iterator[Tab]:
    """A page in a fresh browser, which ends after this time at the latest."""
    reads, commands = os.pipe()
    replies, writes = os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # its children end later
        options = f"--remote-debugging-pipe --user-data-dir={profile} about:blank"
        script = f"exec {' '.join(_command())} {options} 3<&{reads} 4>&{writes}"
        with subprocess.Popen(
            ["bash", "-c", script], pass_fds=(reads, writes), stderr=subprocess.DEVNULL
        ) as browser:
            limit = threading.Timer(seconds, browser.kill)
            limit.start()
            os.close(reads)
            os.close(writes)
            try:
                with os.fdopen(replies, "rb") as told:
                    yield Tab(commands, told)
            finally:
                limit.cancel()
                browser.kill()
                os.close(commands)


def _run(address: str, action: str, size: tuple[int, int]) -> str:
    command = [
        *_command(), action, f"--virtual-time-budget={VIRTUAL_MS}",
        f"--window-size={size[0]},{size[1]}", address,
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    return ended.stdout


def _command() -> list[str]:
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--disable-gpu", "--hide-scrollbars"]
    return [*command, "--no-sandbox"] if os.geteuid() == 0 else command  # its sandbox refuses root
