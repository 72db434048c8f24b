"""A sheet of small pictures, to look at what is done to training images: one HTML page."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from fashion_hpo.reporting.page.document import document

SHEET_STYLE = """
.scroll.tall { max-height: none; }
.sheet tbody th { position: static; box-shadow: none; border-bottom: 1px solid var(--line); }
.sheet th, .sheet td { padding: .3rem 1.25rem .3rem 0; vertical-align: middle; }
.sheet td { font-size: 0; }
.sheet img { width: 56px; height: 56px; margin-right: 3px; image-rendering: pixelated; }
"""


def render(
    title: str, notes: Sequence[str], rows: Iterable[tuple[str, np.ndarray]], names: Sequence[str]
) -> str:
    """The whole page.  Each row has its title and uint8 (draws, images, S, S); `names` are the
    images', for readers who cannot see them."""
    described = [(heading, pictures) for heading, pictures in rows]
    draws = len(described[0][1])
    head = "".join(f'<th scope="col">epoch {number + 1}</th>' for number in range(draws))
    body = "\n".join(_row(heading, pictures, names) for heading, pictures in described)
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    table = (
        f'<div class="scroll tall"><table class="sheet"><thead><tr><th scope="col">option</th>'
        f"{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
    header = f"<header><h1>{escape(title)}</h1>{told}</header>"
    return document(title, [header, table], style=SHEET_STYLE)


def _row(heading: str, pictures: np.ndarray, names: Sequence[str]) -> str:
    cells = "".join(
        f"<td>{''.join(picture(*pair) for pair in zip(draw, names, strict=True))}</td>"
        for draw in pictures
    )
    return f'<tr><th scope="row">{escape(heading)}</th>{cells}</tr>'


def picture(pixels: np.ndarray, name: str) -> str:
    """A grey image, uint8 (S, S), inside the page."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(name)}">'
