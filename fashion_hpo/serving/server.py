"""Serve the champion over HTTP, to programs and pages of this machine alone.

Answers are JSON; a bad request gets a status of 4xx and one sentence.  Sizes are limited before
anything is read, and every value is checked.
"""

import asyncio
import io
import json
import logging
import signal
from collections.abc import Callable, Sequence
from email.message import Message
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import anyio.to_thread
import torch
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from torch import Tensor

from fashion_hpo.design.sentences import quoted
from fashion_hpo.reporting.page.pictures import data_address
from fashion_hpo.serving import api
from fashion_hpo.serving.classifier import Answer, Classifier
from fashion_hpo.serving.images import FORMATS
from fashion_hpo.training.heat import NoHeatError
from fashion_hpo.training.overlay import overlay

LARGEST_JSON = 4 * 2**20  # bytes
LARGEST_PICTURE = 16 * 2**20  # bytes, with its form; a phone's photographs have up to 12 MiB
MOST_PICTURES = 4  # bodies of pictures that are read at once
DRAINED = 2 * LARGEST_PICTURE  # bytes read and discarded, so that the client receives the refusal
BODY_SECONDS = 10
MOST_IMAGES = 512
MOST_CONNECTIONS = 32
SIDE = 28
Decoded = tuple[Tensor, Sequence[str]]
"""Images, uint8 (N, 28, 28), and what was changed in them, in words."""
Decoder = Callable[[bytes], Decoded]
Show = Callable[[Answer, Sequence[str]], Any]
IMAGE_TYPES = {f"image/{name.lower()}" for name in FORMATS}
FORM = "multipart/form-data"
PAGE = Path(__file__).parent / "page.html"
USAGE = """Fashion-MNIST classifier

GET  /             in a browser, a page to drop a picture on
GET  /docs         this interface in full; for programs GET /openapi.json
POST /predict      an image file, its type as Content-Type (PNG, JPEG, GIF, BMP, WEBP or TIFF), or
                   as the only file of a form (multipart/form-data); it is made as the data set's
                   pictures are, and "changes" says what was done
                   or JSON {"images": [[[0, ...], ...], ...]}, taken as they are: 28 rows of 28
                   whole numbers from 0 to 255, an article bright on black
                   a prediction has a "warning" if the model is unsure
                   /predict?explain=1 adds "explanation": the address (data:) of a picture of
                   where the model looks
                   at most 16 MiB of a picture or form, 4 MiB of JSON
POST /invocations  JSON {"inputs": [[[0, ...], ...], ...]}, as MLflow serves models
GET  /health       whether the server answers

curl -F file=@picture.png http://HOST/predict
"""


def serve(classifier: Classifier, host: str, port: int) -> None:
    """Answer requests until SIGINT or SIGTERM."""
    uvicorn_server = server(classifier, host, port)

    def stop(signum: int, frame: FrameType | None) -> None:
        uvicorn_server.should_exit = True

    for signum in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again after it stopped
        signal.signal(signum, stop)
    uvicorn_server.run()


def server(classifier: Classifier, host: str, port: int) -> uvicorn.Server:
    """The server that `serve` runs."""
    config = uvicorn.Config(
        application(classifier, [f"{host}:{port}", f"localhost:{port}"]),
        host=host,
        port=port,
        http="h11",  # the strict parser
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=BODY_SECONDS,
    )
    logging.getLogger("uvicorn.access").setLevel(logging.INFO)  # one line a request
    return uvicorn.Server(config)


def application(classifier: Classifier, hosts: list[str]) -> Starlette:
    """The application; `hosts`: the allowed Host headers, with ports."""
    described = api.description(classifier.name, classifier.channels, IMAGE_TYPES, MOST_IMAGES)
    one_at_a_time = anyio.CapacityLimiter(1)  # one request decodes and predicts: bounds the memory
    pictures = anyio.CapacityLimiter(MOST_PICTURES)

    async def usage(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(PAGE.read_text(encoding="utf-8"))
        return PlainTextResponse(USAGE.replace("HOST", hosts[0]))

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def openapi(request: Request) -> Response:
        return JSONResponse(described)

    async def docs(request: Request) -> Response:
        return HTMLResponse(api.page(described))

    async def answer(
        request: Request, decode: Decoder, show: Show, explains: bool = False
    ) -> Response:
        def computed(body: bytes) -> list[Any]:
            return _answers(classifier, *decode(body), show, explains)

        if _kind(request.headers) == "application/json":
            body = await _body(request, LARGEST_JSON)
            answers = await anyio.to_thread.run_sync(computed, body, limiter=one_at_a_time)
        else:
            async with pictures:
                body = await _body(request, LARGEST_PICTURE)
                answers = await anyio.to_thread.run_sync(computed, body, limiter=one_at_a_time)
        return JSONResponse({"model": classifier.identity, "predictions": answers})

    async def predict(request: Request) -> Response:
        explains = request.query_params.get("explain") == "1"
        return await answer(request, _decoder(classifier, request.headers), _described, explains)

    async def invocations(request: Request) -> Response:
        if _kind(request.headers) != "application/json":
            raise HTTPException(415, "Content-Type is not application/json, the only one allowed.")
        return await answer(
            request, lambda body: _from_json(classifier, body, "inputs"), _probabilities
        )

    return Starlette(
        routes=[
            Route("/", usage),
            Route("/health", health),
            Route("/openapi.json", openapi),
            Route("/docs", docs),
            Route("/predict", predict, methods=["POST"]),
            Route("/invocations", invocations, methods=["POST"]),
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


async def _body(request: Request, largest: int) -> bytes:
    """The whole body, limited in size even if Content-Length is wrong."""
    too_large = HTTPException(413, f"The body is too large; allowed are {largest} bytes.")
    declared = request.headers.get("content-length", "0")
    if len(declared) > 12 or int(declared) > DRAINED:  # h11 has checked that these are digits
        raise too_large
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size <= largest:
                    body += part
                elif size > DRAINED:
                    break
    except TimeoutError:
        raise HTTPException(408, f"The body took more than {BODY_SECONDS} seconds.") from None
    if size > largest:
        raise too_large
    return bytes(body)


def _kind(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _decoder(classifier: Classifier, headers: Headers) -> Decoder:
    """The function from a body of this Content-Type to images."""
    kind = _kind(headers)
    if kind == "application/json":
        return partial(_from_json, classifier, key="images")
    if kind in IMAGE_TYPES:
        return partial(_from_file, classifier)
    if kind == FORM:
        boundary = _boundary(headers["content-type"])
        return lambda body: _from_file(classifier, _uploaded(body, boundary))
    allowed = ", ".join(["application/json", FORM, *sorted(IMAGE_TYPES)])
    raise HTTPException(415, f"Content-Type is {quoted(kind, 80)}; allowed are {allowed}.")


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary("").encode("ascii", "replace")
    if not boundary:
        raise HTTPException(422, f"Content-Type is {FORM} without a boundary.")
    return boundary


def _uploaded(body: bytes, boundary: bytes) -> bytes:
    """The content of a form's only file."""
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]
    fields = [part.partition(b"\r\n\r\n") for part in parts]
    files = [content for head, _, content in fields if b"filename=" in head.lower()]
    if len(files) != 1:
        raise HTTPException(422, f"The form has {len(files)} files; send 1.")
    return files[0]


def _from_file(classifier: Classifier, body: bytes) -> Decoded:
    try:
        prepared = classifier.prepared(io.BytesIO(body), "the body")
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return torch.from_numpy(prepared.pixels[None]), prepared.changes


def _from_json(classifier: Classifier, body: bytes, key: str) -> Decoded:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not JSON.") from None
    images = given.get(key) if isinstance(given, dict) else None
    if not isinstance(images, list) or not 1 <= len(images) <= MOST_IMAGES:
        raise HTTPException(
            422, f'The body is not {{"{key}": [...]}} with 1 to {MOST_IMAGES} images.'
        )
    check = _pixels if classifier.channels == 1 else _colours
    pixels = b"".join(check(image, f"{key}[{i}]") for i, image in enumerate(images))
    flat = torch.frombuffer(bytearray(pixels), dtype=torch.uint8)
    shape = (SIDE, SIDE) if classifier.channels == 1 else (3, SIDE, SIDE)
    return flat.reshape(-1, *shape), ()


def _colours(image: object, where: str) -> bytes:
    """Three times 28 rows: red, green, blue."""
    channels = image if isinstance(image, list) else []
    if len(channels) != 3:
        raise HTTPException(422, f"{where} is not three times 28 rows (red, green, blue).")
    return b"".join(_pixels(channel, f"{where}[{i}]") for i, channel in enumerate(channels))


def _pixels(image: object, where: str) -> bytes:
    """Checks value by value, because numpy would make huge arrays of texts or objects."""
    rows = image if isinstance(image, list) and len(image) == SIDE else []
    values = [v for row in rows if isinstance(row, list) and len(row) == SIDE for v in row]
    if len(values) != SIDE**2 or not all(type(v) is int and 0 <= v <= 255 for v in values):
        raise HTTPException(422, f"{where} is not 28 rows of 28 whole numbers from 0 to 255.")
    return bytes(values)


def _answers(
    classifier: Classifier, images: Tensor, changes: Sequence[str], show: Show, explains: bool
) -> list[Any]:
    answers = [show(answer, changes) for answer in classifier.answers(images)]
    if explains:
        for answer, address in zip(answers, _explanations(classifier, images), strict=True):
            answer["explanation"] = address
    return answers


def _explanations(classifier: Classifier, images: Tensor) -> list[str | None]:
    """Each image under its heat map, as the address of an <img>; None if the model has no map."""
    try:
        maps = classifier.looks(images)
    except NoHeatError:
        return [None] * len(images)
    return [
        data_address(overlay(image, look.heat))
        for image, look in zip(images.numpy(), maps, strict=True)
    ]


def _described(answer: Answer, changes: Sequence[str]) -> dict[str, Any]:
    return {**answer.to_dict(), **({"changes": list(changes)} if changes else {})}


def _probabilities(answer: Answer, changes: Sequence[str]) -> list[float]:
    return [float(probability) for probability in answer.probabilities]
