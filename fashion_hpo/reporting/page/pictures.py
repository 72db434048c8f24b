"""Images inside a page."""

import base64
import io

import numpy as np
from PIL import Image


def data_address(pixels: np.ndarray) -> str:
    """An image, uint8 (S, S) or (3, S, S), as the address of an <img>."""
    pixels = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
