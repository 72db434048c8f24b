"""torchvision's vision transformer on the enlarged image against ours on the image itself."""

from pathlib import Path

import pytest
import torch
from torchvision.models import VisionTransformer as Published
from torchvision.models import vit_b_16

from fashion_hpo.training.architectures import build, check
from fashion_hpo.training.architectures.imagenet_vit import (
    DEVIATIONS,
    MEANS,
    OPTIONS,
    imagenet_vit,
    translated,
)

SMALL = {"patch": 2, "width": 24, "depth": 2, "heads": 3, "mlp_ratio": 2}


@pytest.fixture
def published() -> Published:
    """Of another width and depth; what decides the translation is as in the large one."""
    torch.manual_seed(0)
    network = Published(
        image_size=224, patch_size=16, num_layers=2, num_heads=3, hidden_dim=24, mlp_dim=48
    )
    for value in network.parameters():  # norms and biases as well, which begin at one and zero
        torch.nn.init.normal_(value, std=0.2)
    return network.eval()


def test_the_features_are_torchvisions(published: Published) -> None:
    ours = build("vit", **SMALL).eval()
    found = ours.load_state_dict(translated(published.state_dict()), strict=False)
    assert found.missing_keys == ["head.weight", "head.bias"]
    assert not found.unexpected_keys
    ours.head = published.heads = torch.nn.Identity()  # type: ignore[assignment]
    images = torch.rand(3, 1, 28, 28)
    large = images.repeat_interleave(8, 2).repeat_interleave(8, 3).expand(-1, 3, -1, -1)
    shape = (1, 3, 1, 1)
    large = (large - torch.tensor(MEANS).view(shape)) / torch.tensor(DEVIATIONS).view(shape)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), published(large), rtol=1e-3, atol=1e-3)


def test_prompts_take_the_translated_weights(published: Published, tmp_path: Path) -> None:
    file = tmp_path / "weights"
    torch.save(translated(published.state_dict()), file)
    prompted = build("vit_deep_prompts", backbone="trial:1", backbone_file=file, **SMALL)
    kept = dict(prompted.named_parameters())
    expected = published.state_dict()["encoder.pos_embedding"]
    assert torch.equal(kept["position"], expected)
    assert [name for name, value in kept.items() if value.requires_grad] == [
        "prompts", "head.weight", "head.bias",
    ]  # fmt: skip


def test_the_options_are_those_of_the_published_network() -> None:
    check("vit_shallow_prompts", {"backbone": "imagenet", **OPTIONS})
    with torch.device("meta"):
        whole = vit_b_16()
        ours = build("vit", **OPTIONS)
        shapes = {k: v.shape for k, v in translated(whole.state_dict()).items()}
    assert shapes == {k: v.shape for k, v in ours.state_dict().items() if k[:5] != "head."}
    assert whole.encoder.layers.encoder_layer_0.num_heads == OPTIONS["heads"]  # no shape tells it


def test_weights_that_cannot_be_had_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "vit_b_16-c867db91.pth").write_bytes(b"no weights")
    with pytest.raises(
        ValueError,
        match=r"backbone is 'imagenet', but .* put that file at .*vit_b_16-c867db91\.pth",
    ):
        imagenet_vit()
