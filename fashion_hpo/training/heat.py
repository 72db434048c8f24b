"""Where a network looks: the places of an image that speak for the class it names.

The maps are read off an exported model, so that they need no code of the network.  They rest on the
graph of torch's operators that `torch.export` writes, and on these operators:

- With attention (`scaled_dot_product_attention`): attention rollout (Abnar and Zuidema 2020) as
  the class token sees it, each layer's attention weighted by the gradient of the class's score,
  positive parts alone (Chefer et al. 2021).  Without a class token: the mean over the tokens,
  attention unweighted, because there every token speaks for the class by itself too; such a map is
  the same for every class.  What passes a layer beside its attention is not in the map.
- Else Grad-CAM (Selvaraju et al. 2017) of the last square feature map of at least 7x7 positions,
  each position weighted by its own gradient (HiResCAM, Draelos and Carin 2020).  That equals
  Grad-CAM where the network averages the positions, and is right too where it flattens them.  What
  comes out of a convolution counts after its activation.  Without features the pixels count.

Departure: maps of fewer than 7x7 positions are passed over, because such a map has no places to
tell apart: the last one of `resnet18` is 1x1.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.functional import interpolate

from fashion_hpo.training.reading_points import reading_points

SIDE = 28
LEAST_SIDE = 7
AT_ONCE = 64  # images: their features and gradients are in memory together
CONVOLUTION = torch.ops.aten.conv2d.default
OFFSETS = ".offsets.weight"  # the weights of a deformable convolution's offsets, by their name
ATTENTION = torch.ops.aten.scaled_dot_product_attention.default
SOFTMAX = torch.ops.aten.softmax.int


class NoHeatError(ValueError):
    """A model is not exported, or its tokens are not patches of the image."""


class Look(NamedTuple):
    """Where a network looks in one image.

    heat: float32 (28, 28) from 0 to 1, scaled to its largest value; 0 everywhere if nothing speaks
    for the class.  points: (K, 2), the rows and columns that a deformable network reads for the
    hottest place; none for other networks.
    """

    heat: np.ndarray
    points: np.ndarray


def looks(model: nn.Module, images: Tensor) -> list[Look]:
    """Where a model looks in raw images, uint8 (N, 28, 28) or (N, 3, 28, 28).

    model: what `torch.export` made of a `ServedClassifier`.  Raises NoHeatError for others.
    """
    if not isinstance(model, fx.GraphModule):
        raise NoHeatError("the model is not an exported one.")
    return [look for part in images.split(AT_ONCE) for look in _looks(model, part)]


def _looks(model: fx.GraphModule, images: Tensor) -> list[Look]:
    recorder = _Recorder(model)
    with torch.enable_grad():
        recorder.run(images)
        score = recorder.scores.max(1).values.sum()  # images do not affect each other
        maps = _rollout(recorder, score) if recorder.attention else _grad_cam(recorder, score)
    heats = _scaled(maps.detach())
    offsets = [layer.detach().numpy() for layer in recorder.offsets]
    return [
        Look(heat, reading_points([layer[number] for layer in offsets], heat))
        for number, heat in enumerate(heats)
    ]


class _Recorder(fx.Interpreter):
    """Runs an exported model and keeps what the maps are made of.

    scores: the classes' scores (N, classes), which the last softmax takes; features: the last
    square feature map (N, C, S, S) of at least 7x7 positions; attention: the weights of each layer
    (N, heads, tokens, tokens); sides: the sides of the square feature maps before the attention;
    offsets: those of each deformable convolution (N, 18, S, S).
    """

    def __init__(self, model: fx.GraphModule) -> None:
        super().__init__(model)
        self.scores = torch.empty(0)
        self.features = torch.empty(0)
        self.attention: list[Tensor] = []
        self.sides: list[int] = []
        self.offsets: list[Tensor] = []
        self._has_begun = False

    def run_node(self, n: fx.Node) -> Any:
        """Run one step of the graph."""
        value = super().run_node(n)
        if n.target is CONVOLUTION and str(getattr(n.args[1], "target", "")).endswith(OFFSETS):
            self.offsets.append(value)
        return value

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Call an operator; attention without a mask is written out, to get its weights."""
        if target is SOFTMAX:
            self.scores = args[0]
        if target is ATTENTION and len(args) == 3 and not kwargs:
            return self._attend(*args)
        value = super().call_function(target, args, kwargs)
        if isinstance(value, Tensor) and value.is_floating_point():
            self._keep(value, is_activated=target is not CONVOLUTION)
        return value

    def _keep(self, value: Tensor, *, is_activated: bool) -> None:
        if not self._has_begun:  # the scaled pixels: from here on everything has a gradient
            value.requires_grad_()
            self._has_begun = True
        elif value.dim() == 4 and value.shape[2] == value.shape[3] > 1:
            if not self.attention:
                self.sides.append(value.shape[2])
            if value.shape[2] >= LEAST_SIDE and is_activated:
                self.features = value

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        scale = queries.shape[-1] ** -0.5
        weights = (queries @ keys.transpose(-1, -2) * scale).softmax(-1)
        self.attention.append(weights)
        mixed: Tensor = weights @ values
        return mixed


def _grad_cam(recorder: _Recorder, score: Tensor) -> Tensor:
    """Maps (N, S, S): the positive parts of gradient times feature, summed over the channels."""
    (gradient,) = torch.autograd.grad(score, recorder.features)
    maps: Tensor = (recorder.features * gradient).sum(1).relu()
    return maps


def _rollout(recorder: _Recorder, score: Tensor) -> Tensor:
    """Maps (N, S, S): how much of each patch reaches the classifier through the attention."""
    layers = recorder.attention
    tokens = layers[0].shape[-1]
    side = _grid(recorder.sides, tokens)
    has_class_token = tokens > side**2
    if has_class_token:
        gradients = torch.autograd.grad(score, layers)
        layers = [(a * slope).relu() for a, slope in zip(layers, gradients, strict=True)]
    itself = torch.eye(tokens)
    reached = itself.expand(len(layers[0]), -1, -1)
    for layer in layers:
        reached = reached + layer.mean(1) @ reached
    reached = reached - itself  # what every token has of itself tells no places apart
    read = reached[:, 0] if has_class_token else reached.mean(1)
    patches: Tensor = read[:, -(side**2) :]  # the last tokens
    return patches.reshape(-1, side, side)


def _grid(sides: Sequence[int], tokens: int) -> int:
    """The side of the square of patches: that of the last feature map that fits the tokens."""
    fitting = [side for side in sides if side**2 <= tokens]
    if not fitting:
        raise NoHeatError(f"the model's {tokens} tokens are not the patches of a square.")
    return fitting[-1]


def _scaled(maps: Tensor) -> np.ndarray:
    large = interpolate(maps.unsqueeze(1), (SIDE, SIDE), mode="bilinear").squeeze(1)
    shares: np.ndarray = (large / large.amax((1, 2), keepdim=True)).nan_to_num(0).numpy()
    return shares
