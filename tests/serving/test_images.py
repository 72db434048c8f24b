"""One drawing in every form that Pillow reads: its 28x28 grey pixels must always be the same."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion_hpo.serving.images import files_in, read_grey

NAME = "image boot.png"
CLEAR = 30  # of the drawing's 255: what is darker is background in the transparent forms


def drawing() -> np.ndarray:
    """uint8 (56, 40): an article on black, neither square nor symmetric, so that a turn shows."""
    rows, columns = np.mgrid[0:56, 0:40]
    values = np.zeros((56, 40), np.uint8)
    inside = (rows > 8) & (rows < 50) & (columns > 6) & (columns < 10 + rows // 2)
    values[inside] = (60 + 3 * rows + columns)[inside]
    return values


DRAWING = drawing()
GREY = Image.fromarray(DRAWING)
ALPHA = Image.fromarray(np.where(DRAWING > CLEAR, 255, 0).astype(np.uint8))
ON_WHITE = Image.fromarray(np.where(DRAWING > CLEAR, DRAWING, 255).astype(np.uint8))
"""The drawing where it can be seen; its background is white and transparent."""


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def png(color: int, depth: int, pixels: bytes, width: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of forms that Pillow reads and does not write."""
    size = len(pixels) // len(DRAWING)
    lines = b"".join(b"\0" + pixels[at : at + size] for at in range(0, len(pixels), size))
    header = struct.pack(">IIBBBBB", width, len(DRAWING), depth, color, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def expected(picture: Image.Image = GREY) -> np.ndarray:
    """What a plain grey picture becomes: int (28, 28)."""
    return np.asarray(picture.convert("L").resize((28, 28))).astype(int)


def read(content: bytes) -> np.ndarray:
    return np.asarray(read_grey(io.BytesIO(content), NAME).resize((28, 28))).astype(int)


def wide(values: np.ndarray, form: str = "TIFF") -> bytes:
    """A picture of these numbers, in the mode that Pillow has for their type."""
    return saved(Image.fromarray(values), form)


def with_alpha(palette: Image.Image) -> Image.Image:
    both = palette.convert("PA")
    both.putalpha(ALPHA)
    return both


SIXTEEN = DRAWING.astype(np.uint16) * 257  # 65535 is white
FLOATS = DRAWING.astype(np.float32)
EXTRA_SAMPLES = 338  # the tag of a TIFF that says what its alpha means; 1: colours have it in them

FORMS: dict[str, Callable[[], bytes]] = {
    "L": lambda: saved(GREY, "PNG"),
    "RGB": lambda: saved(GREY.convert("RGB"), "PNG"),
    "RGB, 16 bits a channel": lambda: png(
        2, 16, SIXTEEN.repeat(3, axis=1).astype(">u2").tobytes(), 40
    ),
    "RGBX": lambda: saved(GREY.convert("RGBX"), "TIFF"),
    "P": lambda: saved(GREY.convert("P"), "PNG"),
    "P, of a GIF": lambda: saved(GREY, "GIF"),
    "CMYK": lambda: saved(GREY.convert("RGB").convert("CMYK"), "TIFF"),
    "CMYK, of a JPEG": lambda: saved(GREY.convert("RGB").convert("CMYK"), "JPEG", quality=100),
    "YCbCr": lambda: saved(GREY.convert("RGB").convert("YCbCr"), "TIFF"),
    "YCbCr, of a JPEG": lambda: saved(GREY.convert("RGB"), "JPEG", quality=100),
    "L, of a JPEG": lambda: saved(GREY, "JPEG", quality=100),
    "L, of a BMP": lambda: saved(GREY, "BMP"),
    "RGB, of a WebP": lambda: saved(GREY.convert("RGB"), "WEBP", lossless=True),
    "I;16, of a PNG": lambda: wide(SIXTEEN, "PNG"),
    "I;16": lambda: wide(SIXTEEN),
    "I;16B": lambda: saved(Image.fromarray(SIXTEEN).convert("I").convert("I;16B"), "TIFF"),
    "I;16, of 8-bit values": lambda: wide(DRAWING.astype(np.uint16), "PNG"),
    "I": lambda: wide(SIXTEEN.astype(np.int32)),
    "I, of 8-bit values": lambda: wide(DRAWING.astype(np.int32)),
    "F, 0 to 1": lambda: wide(FLOATS / 255),
    "F, 0 to 255": lambda: wide(FLOATS),
    "F, 0 to 65535": lambda: wide(FLOATS * 257),
    "RGBA": lambda: saved(Image.merge("RGBA", [ON_WHITE] * 3 + [ALPHA]), "PNG"),
    "RGBA, of a WebP": lambda: saved(
        Image.merge("RGBA", [ON_WHITE] * 3 + [ALPHA]), "WEBP", lossless=True, exact=True
    ),
    "RGBA, multiplied by its alpha": lambda: saved(
        Image.merge("RGBA", [GREY] * 3 + [ALPHA]), "TIFF", tiffinfo={EXTRA_SAMPLES: 1}
    ),
    "LA": lambda: saved(Image.merge("LA", [ON_WHITE, ALPHA]), "PNG"),
    "LA, 16 bits a channel": lambda: png(
        4,
        16,
        np.stack((SIXTEEN, np.asarray(ALPHA) * np.uint16(257)), 2).astype(">u2").tobytes(),
        40,
    ),
    "PA": lambda: saved(with_alpha(ON_WHITE.convert("P")), "TIFF"),
    "LA, of a TIFF": lambda: saved(Image.merge("LA", [ON_WHITE, ALPHA]), "TIFF"),
    "L, one value transparent": lambda: saved(ON_WHITE, "PNG", transparency=255),
    "RGB, one colour transparent": lambda: saved(
        ON_WHITE.convert("RGB"), "PNG", transparency=(255, 255, 255)
    ),
    "P, one colour transparent": lambda: saved(ON_WHITE.convert("P"), "PNG", transparency=255),
    "P, alpha for each colour": lambda: saved(
        ON_WHITE.convert("P"), "PNG", transparency=bytes([255] * 255 + [0])
    ),
    "P, of a GIF, one colour transparent": lambda: saved(ON_WHITE, "GIF", transparency=255),
    "I;16, one value transparent": lambda: png(
        0, 16, np.asarray(ON_WHITE).astype(">u2").tobytes(), 40, (b"tRNS", struct.pack(">H", 255))
    ),
    "several frames": lambda: saved(
        GREY, "GIF", save_all=True, append_images=[Image.new("L", GREY.size, 255)]
    ),
    "several pages": lambda: saved(
        GREY, "TIFF", save_all=True, append_images=[Image.new("L", GREY.size, 255)]
    ),
    "a thumbnail beside it": lambda: saved(
        GREY, "MPO", save_all=True, quality=100, append_images=[Image.new("L", (28, 28), 255)]
    ),
}
BY_JPEG = {"CMYK, of a JPEG", "YCbCr, of a JPEG", "L, of a JPEG", "a thumbnail beside it"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_picture_gives_the_same_pixels(form: str) -> None:
    content = FORMS[form]()
    allowed = 6 if form in BY_JPEG else 2  # of 255: JPEG loses some, conversions round
    assert np.abs(read(content) - expected()).max() <= allowed


def test_a_picture_in_black_and_white_keeps_its_two_values() -> None:
    two = GREY.point(lambda value: 255 * (value > 90))
    assert np.array_equal(read(saved(two.convert("1"), "PNG")), expected(two))


def test_what_is_half_transparent_is_half_as_bright() -> None:
    half = Image.merge("LA", [GREY, Image.new("L", GREY.size, 128)])
    darker = GREY.point(lambda value: round(value * 128 / 255))
    assert np.abs(read(saved(half, "PNG")) - expected(darker)).max() <= 2


ORIENTATION = 0x0112
TURNS = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip
"""How a camera that was held so stores an upright picture."""


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_camera_held_any_way_gives_the_same_pixels(orientation: int, form: str) -> None:
    turn = TURNS[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    held = GREY if turn is None else GREY.transpose(turn)
    options = {} if form in ("PNG", "TIFF") else {"quality": 100}
    content = saved(held, form, exif=exif, **options)
    assert np.abs(read(content) - expected()).max() <= 8


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"nonsense",
                                  b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(6)])  # fmt: skip
def test_a_picture_with_broken_exif_is_read(exif: bytes) -> None:
    content = saved(GREY, "JPEG", quality=100, exif=exif)
    assert np.abs(read(content) - expected()).max() <= 6


LAB = Image.new("LAB", (28, 28))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (wide(FLOATS - 3), "its values go from -3 to 2"),
        (wide(FLOATS * 1e6), "allowed are 0 to 1, 0 to 255 or 0 to 65535"),
        (wide(np.full((28, 28), np.nan, np.float32)), "its values go from nan to nan"),
        (wide(np.full((28, 28), np.inf, np.float32)), "its values go from inf to inf"),
        (wide(np.full((28, 28), -1, np.int32)), "its values go from -1 to -1"),
        (wide(np.full((28, 28), 65536, np.int32)), "its values go from 65536 to 65536"),
        (saved(LAB, "TIFF"), "LAB"),
        (saved(GREY, "PNG")[:-40], "truncated"),
        (saved(GREY, "JPEG")[:400], "truncated"),
    ],
)
def test_what_no_rule_makes_grey_is_refused_in_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=r"^image boot\.png cannot be read \(.*\)\.$") as error:
        read(content)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


@pytest.mark.parametrize("content", [b"", b"a boot, in words", HEIC, b"%PDF-1.7\n", bytes(500),
                                     b"<svg xmlns='http://www.w3.org/2000/svg'/>"])  # fmt: skip
def test_a_file_of_another_kind_is_refused_with_the_formats(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not an image of a known format; allowed are PNG, "):
        read(content)


def test_a_dark_article_cut_out_of_its_background_stays_visible() -> None:
    dark = GREY.point(lambda value: value // 8)
    content = saved(Image.merge("LA", [dark, ALPHA]), "PNG")
    expected_on_white = Image.composite(dark, Image.new("L", GREY.size, 255), ALPHA)
    assert np.abs(read(content) - expected(expected_on_white)).max() <= 2


def test_a_folder_gives_its_image_files_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "notes.txt", ".DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "c.png").mkdir()
    assert files_in(tmp_path) == [tmp_path / "a.jpeg", tmp_path / "b.PNG"]
    assert files_in(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(ValueError, match=r"c\.png has no image files; known endings are \.png, "):
        files_in(tmp_path / "c.png")
