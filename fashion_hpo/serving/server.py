"""Serve the champion over HTTP, to programs and pages of this machine alone.

Answers are JSON; a bad request gets a status of 4xx and one sentence.  Sizes are limited before
anything is read, and every value is checked.
"""

import asyncio
import io
import json
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import anyio.to_thread
import numpy as np
import torch
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from torch import Tensor, nn

from fashion_hpo.design.sentences import quoted
from fashion_hpo.serving.images import FORMATS, border_warning, read_grey
from fashion_hpo.training.data import CLASSES
from fashion_hpo.training.packaging import probabilities_of

LARGEST_BODY = 4 * 2**20  # bytes
DRAINED = 4 * LARGEST_BODY  # bytes read and discarded, so that the client receives the refusal
BODY_SECONDS = 10
MOST_IMAGES = 512
MOST_CONNECTIONS = 32
SIDE = 28
IMAGE_TYPES = {f"image/{name.lower()}" for name in FORMATS}
USAGE = """Fashion-MNIST classifier

POST /predict   an image file, its type as Content-Type (PNG, JPEG, GIF, BMP, WEBP or TIFF), or
                JSON {"images": [[[0, ...], ...], ...]}: 28 rows of 28 whole numbers from 0 to 255
                a prediction has a "warning" if the border of its image is bright
GET  /health    whether the server answers

curl --data-binary @picture.png -H "Content-Type: image/png" http://HOST/predict
"""


def serve(model: nn.Module, host: str, port: int) -> None:
    """Answer requests until SIGINT or SIGTERM."""
    uvicorn_server = server(model, host, port)

    def stop(signum: int, frame: FrameType | None) -> None:
        uvicorn_server.should_exit = True

    for signum in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again after it stopped
        signal.signal(signum, stop)
    uvicorn_server.run()


def server(model: nn.Module, host: str, port: int) -> uvicorn.Server:
    """The server that `serve` runs."""
    config = uvicorn.Config(
        application(model, [f"{host}:{port}", f"localhost:{port}"]),
        host=host,
        port=port,
        http="h11",  # the strict parser
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=BODY_SECONDS,
    )
    return uvicorn.Server(config)


def application(model: nn.Module, hosts: list[str]) -> Starlette:
    """The application; `hosts`: the allowed Host headers, with ports."""
    one_at_a_time = anyio.CapacityLimiter(1)  # one request decodes and predicts: bounds the memory

    async def usage(request: Request) -> Response:
        return PlainTextResponse(USAGE.replace("HOST", hosts[0]))

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def predict(request: Request) -> Response:
        decode = _decoder(request.headers)
        body = await _body(request)
        predictions = await anyio.to_thread.run_sync(
            lambda: _predictions(model, decode(body)), limiter=one_at_a_time
        )
        return JSONResponse({"predictions": predictions})

    return Starlette(
        routes=[
            Route("/", usage),
            Route("/health", health),
            Route("/predict", predict, methods=["POST"]),
        ],
        middleware=[Middleware(_OwnMachineOnly, hosts=hosts)],
        exception_handlers={HTTPException: _refused, ClientDisconnect: _gone},
    )


class _OwnMachineOnly:
    """Refuses pages of other sites by the headers Host (DNS rebinding) and Origin.

    No answer allows cross-origin reading.
    """

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        headers = Headers(scope=scope)
        origins = [f"http://{host}" for host in self.hosts]
        app = self.app
        if headers.get("host") not in self.hosts:
            app = _answer(403, f"Host is not allowed; allowed are {', '.join(self.hosts)}.")
        elif not set(headers.getlist("origin")) <= set(origins):
            app = _answer(403, f"Origin is not allowed; allowed are {', '.join(origins)}.")
        await app(scope, receive, send)


def _answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal; the connection is closed, because the rest of the request is not read."""
    return JSONResponse({"error": sentence}, status, {**(headers or {}), "Connection": "close"})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, error.detail, dict(error.headers or {}))


async def _gone(request: Request, error: Exception) -> Response:
    return _answer(400, "The connection was closed before the whole body came.")


async def _body(request: Request) -> bytes:
    """The whole body, limited in size even if Content-Length is wrong."""
    too_large = HTTPException(413, f"The body is too large; allowed are {LARGEST_BODY} bytes.")
    declared = request.headers.get("content-length", "0")
    if len(declared) > 12 or int(declared) > DRAINED:  # h11 has checked that these are digits
        raise too_large
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size <= LARGEST_BODY:
                    body += part
                elif size > DRAINED:
                    break
    except TimeoutError:
        raise HTTPException(408, f"The body took more than {BODY_SECONDS} seconds.") from None
    if size > LARGEST_BODY:
        raise too_large
    return bytes(body)


def _decoder(headers: Headers) -> Callable[[bytes], Tensor]:
    """The function from a body of this Content-Type to images."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _from_json
    if kind in IMAGE_TYPES:
        return _from_file
    allowed = ", ".join(["application/json", *sorted(IMAGE_TYPES)])
    raise HTTPException(415, f"Content-Type is {quoted(kind, 80)}; allowed are {allowed}.")


def _from_file(body: bytes) -> Tensor:
    try:
        grey = read_grey(io.BytesIO(body), "the body")
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return torch.from_numpy(np.array(grey, dtype=np.uint8)[None])


def _from_json(body: bytes) -> Tensor:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not JSON.") from None
    images = given.get("images") if isinstance(given, dict) else None
    if not isinstance(images, list) or not 1 <= len(images) <= MOST_IMAGES:
        raise HTTPException(
            422, f'The body is not {{"images": [...]}} with 1 to {MOST_IMAGES} images.'
        )
    pixels = b"".join(_pixels(image, index) for index, image in enumerate(images))
    return torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(-1, SIDE, SIDE)


def _pixels(image: object, index: int) -> bytes:
    """Checks value by value, because numpy would make huge arrays of texts or objects."""
    rows = image if isinstance(image, list) and len(image) == SIDE else []
    values = [v for row in rows if isinstance(row, list) and len(row) == SIDE for v in row]
    if len(values) != SIDE**2 or not all(type(v) is int and 0 <= v <= 255 for v in values):
        raise HTTPException(
            422, f"images[{index}] is not 28 rows of 28 whole numbers from 0 to 255."
        )
    return bytes(values)


def _predictions(model: nn.Module, images: Tensor) -> list[dict[str, Any]]:
    rows = probabilities_of(model, images)
    return [_prediction(image, row) for image, row in zip(images.numpy(), rows, strict=True)]


def _prediction(image: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    warning = border_warning(image)
    return {
        "class": CLASSES[probabilities.argmax()],
        "probabilities": dict(zip(CLASSES, map(float, probabilities), strict=True)),
        **({"warning": warning} if warning else {}),
    }
