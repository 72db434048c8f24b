"""Images as files, and inside a page."""

import base64
import io

import numpy as np
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    """The PNG file of an image, uint8 (H, W) or (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def data_address(pixels: np.ndarray) -> str:
    """An image, uint8 (H, W) or (H, W, 3), as the address of an <img>."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"


def channels_last(image: np.ndarray) -> np.ndarray:
    """uint8 (S, S) as it is, (3, S, S) as (S, S, 3)."""
    return image if image.ndim == 2 else image.transpose(1, 2, 0)
