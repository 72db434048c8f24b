"""Report R3's MobileNetV2 (R3.1; Sandler et al. 2018), torchvision's, on images resized to 32x32.

The first layer resizes the image and repeats the grey channel three times, so that an exported
model includes both.  Torchvision's features follow, then our dense head, whose width the report
does not state: 1280 to 128, ReLU, dropout, 10.  2,389,130 parameters.  (The trainer adds the
report's L2 penalty on the head.)

`weights` "imagenet" starts from torchvision's weights, which are downloaded once.  Departure:
pixels are scaled as the config says and not by ImageNet's means; batch norm adapts.
"""

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pretrained import (
    load_into,
    published_weights,
    torchvision_models,
)


@network
def mobilenet_v2(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    weights: Literal["none", "imagenet"] = "none",
    image_size: int = 32,
    hidden: int = 128,
    width_multiplier: float = 1.0,
) -> nn.Sequential:
    """Resize; features with channels times `width_multiplier`; global average pooling; head."""
    _check(image_size, width_multiplier)
    del in_channels  # `Resize` makes three channels of one, and leaves three
    models = torchvision_models("mobilenet_v2")
    published = models.mobilenet_v2(width_mult=width_multiplier)
    if weights == "imagenet" and not next(published.parameters()).is_meta:
        imagenet = models.MobileNet_V2_Weights.IMAGENET1K_V1
        state_dict = published_weights(imagenet, "weights", "set weights to 'none'")
        load_into(published, state_dict, "ImageNet's MobileNetV2")
    return nn.Sequential(
        Resize(image_size), published.features,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(published.last_channel, hidden), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )  # fmt: skip


class Resize(nn.Module):
    """Images (N, 1 or 3, H, W) to (N, 3, side, side): bilinear; of grey, three equal channels."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Resize, then repeat."""
        resized = interpolate(images, (self.side, self.side), mode="bilinear", align_corners=False)
        return resized.expand(-1, 3, -1, -1)


def _check(image_size: int, width_multiplier: float) -> None:
    if not 28 <= image_size <= 224:
        raise ValueError(f"architecture option image_size is {image_size}; allowed is 28 to 224.")
    if not 0 < width_multiplier < math.inf:
        raise ValueError(
            f"architecture option width_multiplier is {width_multiplier!r}; allowed is more than 0."
        )
