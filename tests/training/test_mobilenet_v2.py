"""ImageNet's weights cannot be downloaded everywhere, so loading is tested on weights made here."""

import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import interpolate
from torchvision import models

from fashion_hpo.training.architectures import build, check
from fashion_hpo.training.architectures.mobilenet_v2 import Resize

FILE = "mobilenet_v2-b0353104.pth"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch looks for downloaded weights; nothing can be downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for scheme in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_images_are_resized_and_repeated_within_the_network() -> None:
    images = torch.rand(2, 1, 28, 28)
    resized = Resize(32)(images)
    assert resized.shape == (2, 3, 32, 32)
    for channel in range(3):
        assert torch.equal(resized[:, [channel]], interpolate(images, (32, 32), mode="bilinear"))
    assert torch.equal(Resize(28)(images), images.expand(-1, 3, -1, -1))


def test_the_image_size_is_an_option() -> None:
    images, seen = torch.rand(2, 1, 28, 28), []
    for image_size in (32, 64):
        network = build("mobilenet_v2", width_multiplier=0.25, image_size=image_size).eval()
        network[1].register_forward_hook(lambda _, __, given: seen.append(given.shape[-1]))
        network(images)
    assert seen == [1, 2]


def test_published_weights_are_taken_and_the_head_is_fresh(cache: Path) -> None:
    torch.manual_seed(3)
    published = models.mobilenet_v2()
    torch.save(published.state_dict(), cache / FILE)
    torch.manual_seed(0)
    network = build("mobilenet_v2", weights="imagenet")
    torch.manual_seed(0)
    scratch = build("mobilenet_v2")
    for name, value in published.features.state_dict().items():
        assert torch.equal(network[1].state_dict()[name], value), name
    assert not torch.equal(network[1][0][0].weight, scratch[1][0][0].weight)
    assert torch.equal(network[4].weight, scratch[4].weight)  # the seed's


def test_weights_that_cannot_be_downloaded_are_asked_for(cache: Path) -> None:
    with pytest.raises(ValueError) as error:
        build("mobilenet_v2", weights="imagenet")
    told = str(error.value)
    assert told.startswith("architecture option weights is 'imagenet', but https://")
    assert told.endswith(f"put that file at {cache / FILE}, or set weights to 'none'.")
    assert list(cache.iterdir()) == []
    check("mobilenet_v2", {"weights": "imagenet"})  # what is to be run can be said anywhere


def test_a_damaged_file_is_refused(cache: Path) -> None:
    (cache / FILE).write_bytes(b"half a download")
    with pytest.raises(ValueError, match=r"weights is 'imagenet', but .* cannot be downloaded"):
        build("mobilenet_v2", weights="imagenet")


def test_weights_that_do_not_fit_are_refused_by_layer(cache: Path) -> None:
    torch.save(models.mobilenet_v2(width_mult=0.5).state_dict(), cache / FILE)
    with pytest.raises(ValueError) as error:
        build("mobilenet_v2", weights="imagenet")
    told = str(error.value)
    assert told.startswith("ImageNet's MobileNetV2 does not fit: features.0.0.weight is 16x3x3x3")


def test_without_torchvision_the_network_is_refused_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ValueError, match=r"architecture is 'mobilenet_v2', which needs torchvis"):
        build("mobilenet_v2")
    build("cnn")
    build("deformable_cnn")(torch.rand(2, 1, 28, 28))
