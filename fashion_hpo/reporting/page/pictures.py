"""Images inside a page."""

import base64
import io

import numpy as np
from PIL import Image


def data_address(pixels: np.ndarray) -> str:
    """A grey image, uint8 (S, S), as the address of an <img>."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
