"""A heat map lies where the evidence is, for every kind of network."""

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn.functional import cross_entropy, interpolate

from fashion_hpo.design.config import Option
from fashion_hpo.training.architectures import build
from fashion_hpo.training.architectures.pooled_vit import PooledTransformer
from fashion_hpo.training.architectures.pooling import MaxPool2x2
from fashion_hpo.training.heat import NoHeatError, looks
from fashion_hpo.training.overlay import ENLARGED, overlay, side_by_side
from fashion_hpo.training.packaging import served
from fashion_hpo.training.reading_points import reading_points
from tests.training.test_catalogue import SMALL, over_catalogue

PATCH = 7
STEPS = 120
LEARNERS: dict[str, dict[str, Option]] = {
    "cnn": {"channels": 8, "hidden": 32},
    "optimized_cnn": {"channels": 8, "hidden": 32},
    "vit": {"patch": PATCH, "width": 48, "depth": 2},
    "vit_pooled": {"width": 32, "depth": 2},
    "cnn_transformer": {"channels": 8},
}


def exported(network: nn.Module) -> fx.GraphModule:
    """With batches of any size, as models are logged."""
    example = torch.zeros(2, 28, 28, dtype=torch.uint8)
    shapes = {"images": {0: torch.export.Dim.AUTO}}
    model = served(network.eval(), "unit")
    module = torch.export.export(model, (example,), dynamic_shapes=shapes).module()
    assert isinstance(module, fx.GraphModule)
    return module


def heats(network: nn.Module, images: Tensor) -> np.ndarray:
    return np.stack([look.heat for look in looks(exported(network), images)])


def stripes(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images of faint noise with a plain patch and a striped one, or with two plain ones: images,
    the direction of the stripes (2: none), and the number of that patch in a grid of 4x4."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, 4, 4, PATCH, PATCH), generator=generator)
    labels = torch.randint(0, 3, (count,), generator=generator)
    places = torch.rand(count, 16, generator=generator).argsort(1)[:, :2]
    lines = (torch.arange(PATCH) % 2 * 255).expand(PATCH, PATCH)
    both = torch.stack([lines, lines.T, torch.full((PATCH, PATCH), 128)])
    row = torch.arange(count)
    images[row, places[:, 0] // 4, places[:, 0] % 4] = both[labels]
    images[row, places[:, 1] // 4, places[:, 1] % 4] = 128
    return images.transpose(2, 3).reshape(count, 28, 28).to(torch.uint8), labels, places[:, 0]


def trained(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = build(name, **LEARNERS[name]).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    images, labels, _ = stripes(32 * STEPS, seed=1)
    for batch, target in zip(images.split(32), labels.split(32), strict=True):
        optimizer.zero_grad()
        cross_entropy(network(batch.unsqueeze(1) / 255), target).backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("name", LEARNERS)
def test_a_trained_network_looks_at_the_patch_that_decides(name: str) -> None:
    network = trained(name)
    images, labels, places = stripes(100, seed=2)
    with torch.no_grad():
        right = network.eval()(images.unsqueeze(1) / 255).argmax(1) == labels
    assert right.float().mean() > 0.9, "the network has learnt what it is asked"
    maps = torch.from_numpy(heats(network, images))
    by_patch = maps.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH).mean((3, 4)).flatten(1)
    hits = (by_patch.argmax(1) == places)[right & (labels < 2)].float().mean()
    assert hits > (
        0.5 if name == "vit_pooled" else 0.8
    )  # of 16 patches; it can do without attention


@over_catalogue
def test_every_network_has_a_map(name: str) -> None:
    torch.manual_seed(0)
    module = exported(build(name, **SMALL.get(name, {})))
    images = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    found = looks(module, images)
    maps = np.stack([look.heat for look in found])
    assert maps.shape == (3, 28, 28)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert set(maps.max((1, 2)).tolist()) <= {0.0, 1.0}
    assert maps.max() == 1, "one of three has evidence"
    assert len(found[0].points) == (81 if name == "deformable_cnn" else 0)


def reader(row: int) -> nn.Sequential:
    """Two convolutions that copy the image; class 1 is for what is below this of seven rows."""
    copying = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(2)]
    last = nn.Linear(49, 2)
    with torch.no_grad():
        for convolution in copying:
            convolution.weight.zero_()[0, 0, 1, 1] = 1
            assert convolution.bias is not None
            convolution.bias.zero_()
        last.bias.zero_()
        weights = last.weight.zero_().view(2, 7, 7)
        weights[0, :row], weights[1, row:] = 1, 1
    return nn.Sequential(
        copying[0], MaxPool2x2(relu=True), copying[1], MaxPool2x2(relu=True), nn.Flatten(), last
    )


def test_a_network_that_reads_the_lower_half_alone_is_hot_there_alone() -> None:
    """Two spots are equally bright; only the position tells which of them is the evidence."""
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, 4:8, 20:24] = 200
    image[0, 20:24, 4:8] = 220
    (heat,) = heats(reader(4), image)
    assert heat[20:24, 4:8].min() > 0.4
    assert heat[:14].max() == 0
    assert np.unravel_index(heat.argmax(), heat.shape) in [(r, c) for r in range(20, 24)
                                                           for c in range(4, 8)]  # fmt: skip


def test_where_the_last_features_are_averaged_it_is_grad_cam() -> None:
    torch.manual_seed(1)
    features = nn.Sequential(nn.Conv2d(1, 6, 4, stride=4), nn.ReLU())
    last = nn.Linear(6, 3)
    network = nn.Sequential(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    images = torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        maps = features(images.unsqueeze(1) / 255)
        chosen = last.weight[network(images.unsqueeze(1) / 255).argmax(1)]
        expected = torch.einsum("nc,nchw->nhw", chosen, maps).relu()
        expected = interpolate(expected.unsqueeze(1), (28, 28), mode="bilinear").squeeze(1)
        expected = (expected / expected.amax((1, 2), keepdim=True)).nan_to_num(0)
    np.testing.assert_allclose(heats(network, images), expected.numpy(), atol=1e-5)


def test_no_evidence_is_no_heat() -> None:
    (heat,) = heats(reader(4), torch.zeros(1, 28, 28, dtype=torch.uint8))
    assert heat.max() == 0


def test_of_a_linear_network_the_pixels_count() -> None:
    image = torch.full((1, 28, 28), 10, dtype=torch.uint8)
    image[0, 3, 5] = 250
    linear = nn.Linear(784, 2)
    with torch.no_grad():
        linear.weight.zero_()[1] = 1
        linear.bias.zero_()
    (heat,) = heats(nn.Sequential(nn.Flatten(), linear), image)
    assert heat[3, 5] == 1
    assert np.delete(heat, 3 * 28 + 5) == pytest.approx(10 / 250)


def test_a_model_that_tells_no_places_is_refused() -> None:
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    network = build("vit_pooled", **LEARNERS["vit_pooled"])
    with pytest.raises(NoHeatError, match="not an exported one"):
        looks(network, images)
    assert isinstance(network, PooledTransformer)
    network.embedding = nn.Sequential(nn.Flatten(2), nn.Linear(784, 32))  # one token, no patches
    network.position = nn.Parameter(torch.zeros(1, 1, 32))
    with pytest.raises(NoHeatError, match="1 tokens are not the patches of a square"):
        looks(exported(network), images)


def test_without_offsets_a_place_is_read_from_its_neighbours_neighbours() -> None:
    heat = np.zeros((28, 28))
    heat[14, 15] = 1  # position 7, 7 of the second layer's map
    layers = [np.zeros((18, 28, 28)), np.zeros((18, 14, 14))]
    points = reading_points(layers, heat)
    assert points.shape == (81, 2)
    assert points.mean(0) == pytest.approx([14, 14], abs=1)
    assert np.ptp(points, 0) == pytest.approx([6, 6])  # two pixels a tap, and one more
    layers[1][0::2] = 3  # every tap reads three positions farther down
    assert reading_points(layers, heat).mean(0) - points.mean(0) == pytest.approx([6, 0])
    assert reading_points([], heat).shape == (0, 2)


def test_an_overlay_is_the_image_where_nothing_is_hot() -> None:
    image = np.full((28, 28), 100, np.uint8)
    heat = np.zeros((28, 28), np.float32)
    heat[:7] = 1
    drawn = overlay(image, heat)
    assert (drawn[7:] == 100).all()
    assert len(np.unique(drawn[:7].reshape(-1, 3), axis=0)) == 1
    assert drawn[0, 0, 0] > drawn[0, 0, 2] > 100, "bright and yellow"
    coloured = overlay(np.stack([image, image // 2, image // 4]), heat)
    assert coloured[20, 20].tolist() == [100, 50, 25]


def test_the_file_shows_the_image_beside_the_overlay_and_what_is_read() -> None:
    image = np.full((28, 28), 100, np.uint8)
    images = torch.from_numpy(image[None])
    (look,) = looks(exported(build("deformable_cnn", **SMALL["deformable_cnn"])), images)
    drawn = side_by_side(image, look._replace(points=np.array([[10.0, 5.0], [40.0, 5.0]])))
    assert drawn.shape == (28 * ENLARGED, 57 * ENLARGED, 3)
    assert (drawn[:, : 28 * ENLARGED] == 100).all()
    row, column = round(10.5 * ENLARGED), (29 * ENLARGED) + round(5.5 * ENLARGED)
    assert drawn[row, column].tolist() == [255, 255, 255]
    assert (drawn[row, column + 2] == 0).all()
