"""A real server on loopback, and what one may send to it by mistake or on purpose."""

import base64
import gc
import http.client
import io
import json
import os
import random
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fashion_hpo.serving import server as serving
from fashion_hpo.serving.classifier import Classifier
from fashion_hpo.training.architectures import build
from fashion_hpo.training.data import CLASSES
from fashion_hpo.training.packaging import served

HOST = "127.0.0.1"
JSON = "application/json"
BLACK = [[0] * 28] * 28


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return served(build("simple_cnn"), "unit")


@pytest.fixture(scope="module")
def port(model: nn.Module) -> Iterator[int]:
    """Of a server that runs as long as this module's tests."""
    with running(Classifier(model, "articles", "7", unsure_below=0.101)) as number:
        yield number


@contextmanager
def running(classifier: Classifier) -> Iterator[int]:
    """The port of a server that runs for a while."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        number: int = probe.getsockname()[1]
    server = serving.server(classifier, HOST, number)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield number
    server.should_exit = True
    thread.join(timeout=30)
    assert not thread.is_alive()


class Answer:
    """A reply: always of JSON, but for the usage."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self.status = reply.status
        self.headers = {name.lower(): value for name, value in reply.getheaders()}
        self.text = reply.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str | None
) -> Answer:
    """One request; headers by their names in lower case with _, those that are None left out."""
    given: dict[str, str | None] = {"host": f"{HOST}:{port}", **headers}
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        if body is not None and "content_length" not in given:
            given["content_length"] = str(len(body))
        for name, value in given.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def predict(port: int, body: bytes, kind: str = JSON, **headers: str | None) -> Answer:
    return ask(port, "POST", "/predict", body, content_type=kind, **headers)


def refusal(answer: Answer, status: int) -> str:
    """The one sentence of a refusal, with nothing else in it."""
    assert answer.status == status
    assert answer.json.keys() == {"error"}
    sentence: str = answer.json["error"]
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert "access-control-allow-origin" not in answer.headers
    return sentence


def still_answers(port: int) -> bool:
    return ask(port, "GET", "/health").json == {"status": "ok"}


def picture(kind: str = "PNG", size: tuple[int, int] = (28, 28), mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 200 if mode == "L" else None).save(buffer, kind)
    return buffer.getvalue()


def test_where_the_model_looks_is_shown_if_it_is_asked_for(model: nn.Module, port: int) -> None:
    """Not by the server of these tests, whose model is not an exported one."""
    plain = predict(port, picture(), "image/png").json["predictions"][0]
    assert "explanation" not in plain
    asked = ask(port, "POST", "/predict?explain=1", picture(), content_type="image/png")
    assert asked.json["predictions"] == [{**plain, "explanation": None}]
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    exported = torch.export.export(model, (images,)).module()
    body = json.dumps({"images": [BLACK] * 2}).encode()
    with running(Classifier(exported, "articles", "7")) as number:
        reply = ask(number, "POST", "/predict?explain=1", body, content_type=JSON)
    for prediction in reply.json["predictions"]:
        head, _, data = prediction["explanation"].partition(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as drawn:
            assert (drawn.size, drawn.mode) == ((28, 28), "RGB")


def probabilities(model: nn.Module, images: torch.Tensor) -> list[list[float]]:
    with torch.no_grad():
        found: list[list[float]] = model(images).tolist()
    return found


def test_images_are_answered_with_classes_and_probabilities(port: int, model: nn.Module) -> None:
    images = torch.randint(0, 256, (7, 28, 28), dtype=torch.uint8)
    answer = predict(port, json.dumps({"images": images.tolist()}).encode())
    assert answer.status == 200
    assert answer.json.keys() == {"model", "predictions"}
    assert answer.json["model"] == {"name": "articles", "version": "7"}
    found = answer.json["predictions"]
    for prediction, expected in zip(found, probabilities(model, images), strict=True):
        assert list(prediction["probabilities"]) == list(CLASSES)
        assert list(prediction["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
        assert prediction["class"] == CLASSES[expected.index(max(expected))]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize(("size", "mode"), [((28, 28), "L"), ((300, 200), "RGB")])
def test_an_image_file_is_answered(port: int, kind: str, size: tuple[int, int], mode: str) -> None:
    answer = predict(port, picture(kind, size, mode), f"image/{kind.lower()}")
    assert answer.status == 200
    (found,) = answer.json["predictions"]
    assert sum(found["probabilities"].values()) == pytest.approx(1)


def test_a_file_and_its_pixels_are_answered_alike(port: int) -> None:
    image = [[0] * 28 if row in (0, 27) else [0, *[200] * 26, 0] for row in range(28)]
    buffer = io.BytesIO()
    Image.fromarray(np.array(image, np.uint8)).save(buffer, "PNG")
    by_file = predict(port, buffer.getvalue(), "image/png; name=a").json
    by_json = predict(port, body_of([image]), "Application/JSON; charset=utf-8").json
    assert by_file == by_json


def test_a_picture_is_prepared_and_its_changes_are_told(port: int) -> None:
    (prediction,) = predict(port, picture(size=(300, 200)), "image/png").json["predictions"]
    assert prediction["changes"] == [
        "inverted, because the background is light",
        "nothing stands out from the background",
    ]
    assert predict(port, body_of([BLACK])).json["predictions"][0].keys() >= {"class"}


def form(*files: bytes, boundary: str = "--x") -> bytes:
    """A form with a text field and these files."""
    field = b'Content-Disposition: form-data; name="note"\r\n\r\na text'
    parts = [
        b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + content
        for content in files
    ]
    edge = f"--{boundary}".encode()
    return b"".join(edge + b"\r\n" + part + b"\r\n" for part in (field, *parts)) + edge + b"--\r\n"


def test_a_form_with_a_file_is_answered_as_the_file(port: int) -> None:
    kind = 'multipart/form-data; charset=utf-8; boundary="--x"'
    by_file = predict(port, picture(size=(90, 60)), "image/png")
    assert predict(port, form(picture(size=(90, 60))), kind).json == by_file.json
    for count in (0, 2):
        sentence = refusal(predict(port, form(*[picture()] * count), kind), 422)
        assert sentence == f"The form has {count} files; send 1."
    assert "0 files" in refusal(predict(port, form(picture())[:40], kind), 422)
    assert "0 files" in refusal(predict(port, form(picture(), boundary="y"), kind), 422)
    without = predict(port, form(picture()), "multipart/form-data")
    assert "without a boundary" in refusal(without, 422)


def test_the_interface_is_described(port: int) -> None:
    described = ask(port, "GET", "/openapi.json").json
    assert described["openapi"].startswith("3.")
    for path, operations in described["paths"].items():
        for method in operations:
            assert ask(port, method.upper(), path, b"{}", content_type=JSON).status in (200, 422)
    kinds = described["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert kinds.keys() == {JSON, serving.FORM, *serving.IMAGE_TYPES}
    page = ask(port, "GET", "/docs").text
    assert "POST /predict" in page
    assert "src=" not in page, "it loads something"


def test_good_and_bad_requests_in_any_order(port: int, model: nn.Module) -> None:
    """None fails, each gets its answer, and no memory is kept.  FASHION_HPO_REQUESTS: how many."""
    count, dice = int(os.environ.get("FASHION_HPO_REQUESTS", "100")), random.Random(0)
    images = torch.randint(0, 256, (8, 28, 28), dtype=torch.uint8)
    pixels, expected = images.tolist(), probabilities(model, images)
    kind = 'multipart/form-data; boundary="--x"'
    bad: list[tuple[int, str, bytes]] = [
        (400, JSON, b"{"), (422, JSON, b"[]"), (422, JSON, body_of([[0]])),
        (422, "image/png", picture()[:-30]), (422, "image/jpeg", b"no picture"),
        (415, "text/plain", b"?"), (422, kind, form()), (422, kind, form(b"no picture")),
        (422, "image/png", png_header(60_000, 60_000)),
        (413, "image/png", bytes(serving.LARGEST_PICTURE + 1)),
    ]  # fmt: skip
    for number in range(count):
        if number == count // 4:  # after caches have filled
            tracemalloc.start()
        if dice.random() < 0.5:
            status, kind_of_bad, body = dice.choice(bad)
            refusal(predict(port, body, kind_of_bad), status)
            continue
        chosen = dice.choices(range(8), k=dice.randint(1, 32))
        answer = predict(port, body_of([pixels[index] for index in chosen])).json
        for index, prediction in zip(chosen, answer["predictions"], strict=True):
            found = list(prediction["probabilities"].values())
            assert found == pytest.approx(expected[index], abs=1e-6)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2**20


def test_an_unsure_prediction_has_a_warning(port: int, model: nn.Module) -> None:
    images = torch.randint(0, 256, (200, 28, 28), dtype=torch.uint8)
    highest = [max(row) for row in probabilities(model, images)]
    predictions = predict(port, json.dumps({"images": images.tolist()}).encode()).json
    warned = ["warning" in prediction for prediction in predictions["predictions"]]
    assert warned == [value < 0.101 for value in highest]


def test_mlflows_form_of_a_request_is_answered(port: int, model: nn.Module) -> None:
    images = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    body = json.dumps({"inputs": images.tolist()}).encode()
    answer = ask(port, "POST", "/invocations", body, content_type=JSON).json
    for row, expected in zip(answer["predictions"], probabilities(model, images), strict=True):
        assert row == pytest.approx(expected, abs=1e-6)
    wrong = ask(port, "POST", "/invocations", body_of([BLACK]), content_type=JSON)
    assert refusal(wrong, 422) == 'The body is not {"inputs": [...]} with 1 to 512 images.'
    as_picture = ask(port, "POST", "/invocations", picture(), content_type="image/png")
    assert "application/json" in refusal(as_picture, 415)


def test_as_many_images_as_are_allowed_are_answered(port: int) -> None:
    answer = predict(port, json.dumps({"images": [[[255] * 28] * 28] * 512}).encode())
    assert len(answer.json["predictions"]) == 512


def test_there_are_a_usage_and_a_health_page(port: int) -> None:
    usage = ask(port, "GET", "/")
    assert (usage.status, usage.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert f"http://{HOST}:{port}/predict" in usage.text
    page = ask(port, "GET", "/", accept="text/html,*/*;q=0.8")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Drop a picture" in page.text
    assert still_answers(port)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405), ("PUT", "/predict", 405), ("POST", "/", 405),
        ("DELETE", "/health", 405), ("OPTIONS", "/predict", 405), ("GET", "/doc", 404),
        ("GET", "/../etc/passwd", 404), ("GET", "/%2e%2e/etc", 404), ("POST", "/docs", 405),
        ("BREW", "/", 405),
    ],
)  # fmt: skip
def test_another_page_or_method_is_refused(port: int, method: str, path: str, status: int) -> None:
    refusal(ask(port, method, path), status)


def test_a_host_or_origin_of_this_machine_is_allowed(port: int) -> None:
    for host in (f"{HOST}:{port}", f"localhost:{port}"):
        assert ask(port, "GET", "/health", host=host).status == 200
        origin = f"http://{host}"
        assert predict(port, picture(), "image/png", host=host, origin=origin).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{}", "127.0.0.1", "localhost", "127.0.0.1:1", "0.0.0.0:{}",
     "127.0.0.1:{}.evil.example", "LOCALHOST.evil:{}", "user@127.0.0.1:{}", ""],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/health", "/predict"])
def test_another_host_is_refused(port: int, host: str, path: str) -> None:
    method = "POST" if path == "/predict" else "GET"
    sentence = refusal(ask(port, method, path, host=host.format(port)), 403)
    assert sentence.startswith(f"Host is not allowed; allowed are {HOST}:{port}, localhost:{port}")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{}", "http://localhost", "http://localhost:1",
     "http://127.0.0.1:{}.evil.example", ""],
)  # fmt: skip
def test_another_origin_is_refused(port: int, origin: str) -> None:
    answer = predict(port, picture(), "image/png", origin=origin.format(port))
    assert refusal(answer, 403).startswith("Origin is not allowed; ")
    refusal(ask(port, "OPTIONS", "/predict", origin="http://evil.example"), 403)


@pytest.mark.parametrize("kind", [
    None, "", "text/plain", "multipart/mixed", "application/x-www-form-urlencoded",
    "image/svg+xml", "image/x-eps", "application/octet-stream", "image/", "application/jsonx",
])  # fmt: skip
def test_another_content_type_is_refused(port: int, kind: str | None) -> None:
    answer = ask(port, "POST", "/predict", picture(), content_type=kind)
    assert "allowed are application/json, multipart/form-data, image/bmp" in refusal(answer, 415)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"images": [[[0', b"NaN,", b"[" * 100_000, b'{"a":' * 100_000,
     b"9" * 5000, picture()],
)  # fmt: skip
def test_malformed_json_is_refused(port: int, body: bytes) -> None:
    assert refusal(predict(port, body), 400) == "The body is not JSON."
    assert still_answers(port)


def body_of(images: Any) -> bytes:
    return json.dumps({"images": images}).encode()


@pytest.mark.parametrize("body", [
    b"[]", b"null", b"1", b'"images"', b"{}", body_of(None), body_of({}), body_of("x" * 28),
    body_of([]), body_of([BLACK] * 513), body_of([0] * 100_000),
])  # fmt: skip
def test_a_body_of_other_things_than_images_is_refused(port: int, body: bytes) -> None:
    assert refusal(predict(port, body), 422).startswith('The body is not {"images": [...]} with 1')


@pytest.mark.parametrize("image", [
    0, [], BLACK[:27], [*BLACK, [0] * 28], [[0] * 27] * 28, [[0] * 29] * 28, [0] * 28,
    ["0" * 28] * 28, [[[0] * 28] * 28], {"0": 0}, [[]] * 28, [[0] * 784], None,
    *[[*BLACK[:27], [0] * 27 + [wrong]] for wrong in (
        -1, 256, 0.0, 0.5, True, None, "0", "x" * 1000, [], {}, 10**30, float("nan"), float("inf"),
    )],
])  # fmt: skip
def test_an_image_of_another_shape_or_value_is_refused(port: int, image: Any) -> None:
    answer = predict(port, body_of([BLACK, image]))
    words = "images[1] is not 28 rows of 28 whole numbers from 0 to 255."
    assert refusal(answer, 422) == words


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c))
              for c in (header, b"IDAT")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not an image of a known format"),
        (b"a boot, in words", "is not an image of a known format"),
        (EPS, "is not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n", "is not an image of a known format"),
        (picture()[:-30], "cannot be read ("),
        (picture("JPEG")[:200], ""),
        (png_header(28, 28), "cannot be read ("),
        (png_header(0, 28), ""),
        (png_header(4097, 2), "is 4097 x 2 pixels; allowed are 4096 pixels a side."),
        (png_header(10_000, 10_000), "allowed are 4096 pixels a side."),
        (png_header(60_000, 60_000), "allowed are 4096 pixels a side."),
        (b"GIF89a" + b"\xff" * 100, ""),
        (b"II*\x00" + b"\xff" * 100, ""),
        (b"BM" + b"\xff" * 100, ""),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 100, ""),
        (b'{"images": []}', "is not an image of a known format"),
    ],
)
def test_what_is_no_image_is_refused(port: int, body: bytes, words: str) -> None:
    sentence = refusal(predict(port, body, "image/png"), 422)
    assert sentence.startswith("the body ")
    assert words in sentence
    assert still_answers(port)


def test_every_truncation_of_a_picture_is_answered(port: int) -> None:
    for kind in ("PNG", "GIF", "TIFF"):
        whole = picture(kind)
        for length in range(0, len(whole), max(1, len(whole) // 15)):
            assert predict(port, whole[:length], "image/png").status in (200, 422)


@pytest.mark.parametrize(
    ("kind", "largest"),
    [
        (JSON, serving.LARGEST_JSON),
        ("image/png", serving.LARGEST_PICTURE),
        ("multipart/form-data; boundary=x", serving.LARGEST_PICTURE),
    ],
)
def test_a_body_that_is_too_large_is_refused(port: int, kind: str, largest: int) -> None:
    answer = predict(port, bytes(largest + 1), kind)
    assert f"allowed are {largest} bytes" in refusal(answer, 413)
    whole = picture() + bytes(serving.LARGEST_PICTURE - len(picture()))
    assert predict(port, whole, "image/png").status == 200
    assert still_answers(port)


def test_a_photograph_as_large_as_a_phones_is_classified(port: int) -> None:
    """12 megapixels of noise, which no format makes smaller."""
    noise = np.random.default_rng(0).integers(0, 256, (3024, 4032), dtype=np.uint8)
    photograph = io.BytesIO()
    Image.fromarray(noise).save(photograph, "JPEG", quality=90)
    assert serving.LARGEST_JSON < len(photograph.getvalue()) < serving.LARGEST_PICTURE
    assert predict(port, photograph.getvalue(), "image/jpeg").status == 200


def exchange(port: int, request: bytes) -> bytes:
    """All that comes back for these bytes, until the server closes the connection."""
    with socket.create_connection((HOST, port), timeout=30) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
        return found


def head(port: int, *lines: str) -> bytes:
    common = ["POST /predict HTTP/1.1", f"Host: {HOST}:{port}", "Content-Type: image/png"]
    return "".join(f"{line}\r\n" for line in (*common, *lines, "")).encode()


def chunked(body: bytes, size: int = 2**16) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_a_chunked_body_is_answered(port: int) -> None:
    request = head(port, "Transfer-Encoding: chunked", "Connection: close")
    assert exchange(port, request + chunked(picture(), 7)).startswith(b"HTTP/1.1 200 ")


def test_a_chunked_body_that_is_too_large_is_refused(port: int) -> None:
    request = head(port, "Transfer-Encoding: chunked")
    answer = exchange(port, request + chunked(bytes(serving.LARGEST_PICTURE + 1)))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert still_answers(port)


def test_an_endless_body_is_cut_off(port: int) -> None:
    """Beyond what is drained the connection is closed, however much is still to come."""
    part = chunked(bytes(2**20))[: -len(b"0\r\n\r\n")]
    with socket.create_connection((HOST, port), timeout=30) as connection:
        connection.sendall(head(port, "Transfer-Encoding: chunked"))
        with pytest.raises(ConnectionError):
            connection.sendall(part * 100)
    assert still_answers(port)


@pytest.mark.parametrize("length", ["99999999999", "9" * 19])
def test_a_content_length_of_too_much_is_refused_at_once(port: int, length: str) -> None:
    answer = exchange(port, head(port, f"Content-Length: {length}") + b"abc")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "lines",
    [["Content-Length: -1"], ["Content-Length: abc"], ["Content-Length: 1", "Content-Length: 2"],
     ["Content-Length: " + "9" * 5000], ["Transfer-Encoding: gzip"], ["Host: evil.example"],
     ["Bad header"]],
)  # fmt: skip
def test_a_malformed_request_is_refused(port: int, lines: list[str]) -> None:
    answer = exchange(port, head(port, *lines) + b"abc")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 501 "))
    assert still_answers(port)


def test_endless_headers_are_cut_off(port: int) -> None:
    endless = head(port)[:-2] + b"X: " + b"a" * 100_000_000
    with socket.create_connection((HOST, port)) as connection, pytest.raises(ConnectionError):
        connection.sendall(endless)
    assert still_answers(port)


@pytest.mark.parametrize("request_", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_bytes_that_are_no_request_are_refused(port: int, request_: bytes) -> None:
    assert exchange(port, request_).startswith(b"HTTP/1.1 400 ")


def test_a_body_shorter_than_its_content_length_harms_nobody(port: int) -> None:
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(head(port, "Content-Length: 1000") + b"abc")
    assert still_answers(port)


def test_what_follows_a_body_is_no_part_of_it(port: int) -> None:
    """A Content-Length that is too small: the rest is another, malformed request."""
    body = picture()
    request = head(port, f"Content-Length: {len(body)}") + body + b"\x00\x00more\r\n\r\n"
    answer = exchange(port, request)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 400 " in answer


def test_a_body_that_does_not_come_is_given_up(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.2)
    answer = exchange(port, head(port, "Content-Length: 1000") + b"abc")
    assert answer.startswith(b"HTTP/1.1 408 ")
