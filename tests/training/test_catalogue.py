"""One suite over every network of the catalogue: what the trainer and the store rely on.

Networks of the full size are only counted; all else runs on those of `SMALL`, where it has a name.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fashion_hpo.design.config import Option
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo
from fashion_hpo.training.architectures import (
    CATALOGUE,
    build,
    build_for,
    check,
    parameter_count,
    skeleton,
    trainable_count,
)
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from tests.training.tiny import tiny_config, weights

over_catalogue = pytest.mark.parametrize("name", CATALOGUE)

SMALL: dict[str, dict[str, Option]] = {
    "deformable_cnn": {"channels": 8, "hidden": 32},
    "vgg8": {"channels": 8, "hidden": 64},
    "vgg8_separable": {"channels": 8, "hidden": 64},
    "vgg8_wide": {"channels": 12, "hidden": 64},
    "vgg12": {"channels": 4, "hidden": 64},
    "resnet9": {"channels": 8},
    "resnet18": {"channels": 8},
    "resnet18_narrow": {"channels": 4},
    "resnet18_wide": {"channels": 12},
    "resnet18_dilated": {"channels": 8},
    "resnet18_7x7": {"channels": 8},
    "resnet18_7x7_dilated": {"channels": 8},
    "vit": {"width": 48, "depth": 2},
    "vit_shallow_prompts": {"width": 48, "depth": 2},
    "vit_deep_prompts": {"width": 48, "depth": 2},
    "vit_pooled": {"width": 32, "depth": 2},
    "vit_depthwise": {"width": 32, "depth": 2},
    "vit_patch_free": {"width": 32, "depth": 1},
    "mobilenet_v2": {"width_multiplier": 0.25},
}

COUNTS = {
    # of the reports' shapes
    "cnn": 421_642,
    "dilated_cnn": 421_642,
    "vgg8": 42_655_978,
    "vgg8_separable": 42_535_018,
    "vgg12": 223_062_802,
    "vit": 2_684_554,
    "vit_pooled": 270_986,
    # of the papers' shapes: LeCun et al. 1998, with weights in every connection; He et al. 2016 as
    # torchvision has it, 11,689,512, less two colours of the stem and all but ten classes
    "lenet5": 61_706,
    "resnet18": 11_689_512 - 2 * 7 * 7 * 64 - (512 + 1) * (1000 - 10),
    "resnet18_dilated": 11_175_370,
    "resnet18_7x7": 11_175_370,
    "resnet18_7x7_dilated": 11_175_370,
    # a prompt is a token of the width; the transformer's own head is the new one
    "vit_shallow_prompts": 2_684_554 + 50 * 192,
    "vit_deep_prompts": 2_684_554 + 6 * 20 * 192,
    # torchvision's features, 3,504,872 less its head, and ours
    "mobilenet_v2": 3_504_872 - 1_281_000 + 1281 * 128 + 129 * 10,
    # R0.1, and two convolutions to 18 and 9 channels beside each of its own
    "deformable_cnn": 421_642 + (9 * 1 + 1) * 27 + (9 * 32 + 1) * 27,
    # R1.8, and a layer norm and a depthwise convolution beside each layer
    "vit_depthwise": 270_986 + 4 * (2 * 64 + (9 + 1) * 64),
    # ours
    "simple_cnn": 105_866,
    "optimized_cnn": 538_858,
    "three_block_cnn": 667_146,
    "vgg8_wide": 68_762_058,
    "resnet9": 926_578,
    "resnet18_narrow": 2_798_314,
    "resnet18_wide": 44_665_738,
    "vit_patch_free": 279_946,
    "cnn_transformer": 89_866,
}
TRAINABLE = {"vit_shallow_prompts": 11_530, "vit_deep_prompts": 24_970}

LEARNT = {name: (180, 2e-3, 0.05) for name in CATALOGUE if name.startswith("vit")}
"""Transformers need more steps.  Prompts steer a random backbone only so far: large steps, and a
loss that is only far below the 1.95 nats of guessing among seven."""
LEARNT |= dict.fromkeys(("vit_shallow_prompts", "vit_deep_prompts"), (300, 3e-2, 0.3))


def small(name: str, dropout: float = 0.0, info: DataInfo = FASHION_MNIST) -> nn.Module:
    return build(name, dropout=dropout, info=info, **SMALL.get(name, {}))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(7, 1, 28, 28)


@over_catalogue
def test_a_network_takes_channels_and_classes_from_the_data_set(name: str) -> None:
    info = replace(FASHION_MNIST, channels=3, classes=("a", "b", "c"))
    assert small(name, info=info)(torch.rand(2, 3, 28, 28)).shape == (2, 3)


def test_a_network_for_ten_classes_alone_is_refused_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fixed(*, dropout: float = 0.0) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    monkeypatch.setitem(CATALOGUE, "fixed", fixed)
    assert build("fixed")(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    info = replace(FASHION_MNIST, name="pets", classes=("cat", "dog"))
    with pytest.raises(ValueError, match=r"fixed takes no classes, and pets has 2; add"):
        check("fixed", {}, info)


@over_catalogue
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_images_become_ten_logits(
    name: str, memory_format: torch.memory_format, images: Tensor
) -> None:
    network = small(name, dropout=0.5).to(memory_format=memory_format)
    images = images.to(memory_format=memory_format)
    assert network(images).shape == (7, 10)
    network.eval()
    for batch in (images, images[:1]):
        logits = network(batch)
        assert logits.shape == (len(batch), 10)
        assert logits.dtype == torch.float32
        assert logits.min() < 0 < logits.max()  # no probabilities
    torch.testing.assert_close(network(images)[:1], network(images[:1]), atol=1e-5, rtol=1e-4)


@over_catalogue
def test_the_parameters_are_counted(name: str) -> None:
    network = skeleton(name, {})
    assert parameter_count(network) == COUNTS[name]
    assert trainable_count(network) == TRAINABLE.get(name, COUNTS[name])


@over_catalogue
def test_dropout_acts_in_training_and_only_there(name: str, images: Tensor) -> None:
    dropping, whole = small(name, dropout=0.5), small(name)
    assert not torch.equal(dropping(images), dropping(images))
    assert torch.equal(whole(images), whole(images))
    dropping.eval()
    assert torch.equal(dropping(images), dropping(images))


@over_catalogue
def test_gradients_reach_what_is_trainable_and_nothing_else(name: str, images: Tensor) -> None:
    """A bias before a batch norm has none but rounding's; its count is the report's."""
    network = small(name)
    cross_entropy(network(images), torch.arange(7)).backward()
    for parameter, value in network.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, parameter
            assert value.grad.abs().sum() > 0, parameter
        else:
            assert value.grad is None, parameter


@over_catalogue
def test_one_batch_is_learnt_by_heart(name: str, images: Tensor) -> None:
    network, labels = small(name), torch.arange(7)
    steps, rate, enough = LEARNT.get(name, (60, 2e-3, 0.05))
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        if loss.item() < enough:
            return
    pytest.fail(f"the loss is still {loss.item():.2f} after {steps} steps")


@over_catalogue
def test_bfloat16_agrees_with_float32(name: str, images: Tensor) -> None:
    network = small(name).eval()
    exact = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(images).float()
    assert 0 < (rounded - exact).norm() < 0.03 * exact.norm()  # bfloat16 has 8 bits


def test_a_checkpoint_brings_back_every_bit(
    images: Tensor, hardware: Hardware, tmp_path: Path
) -> None:
    """Of all networks: `test_train.py` resumes their trainings, the last epoch among them."""
    config = tiny_config(
        "resnet9", architecture_options=SMALL["resnet9"], early_stopping_patience=1
    )
    state = TrainingState(config, build_for(config), hardware)
    cross_entropy(state.model(images), torch.arange(7)).backward()
    state.optimizer.step()
    state.save(tmp_path / "checkpoint")
    loaded = TrainingState(config, build_for(config), hardware)
    assert weights(loaded.model) != weights(state.model)
    loaded.load(tmp_path / "checkpoint")
    assert weights(loaded.model) == weights(state.model)
    assert str(loaded.optimizer.state_dict()) == str(state.optimizer.state_dict())


@over_catalogue
def test_the_initial_weights_are_a_function_of_the_seed(name: str) -> None:
    config = tiny_config(name, dropout=0.1, seed=4)
    first = weights(build_for(config))
    torch.rand(5)
    assert weights(build_for(config)) == first
    assert weights(build_for(config.replace(dropout=0.5))) == first
    assert weights(build_for(config.replace(seed=5))) != first


@over_catalogue
def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"architecture_options has 'chanels'; {name} has "):
        build(name, chanels=3)
    config = tiny_config(name).replace(architecture_options={"dropout": 0.5})
    with pytest.raises(ValueError, match=rf"architecture_options has 'dropout'; {name} has "):
        build_for(config)  # it is a field of its own


@pytest.mark.parametrize(
    ("name", "options", "refusal"),
    [
        ("cnn", {"channels": 0}, "channels is 0; allowed is a whole number from 1."),
        ("cnn", {"channels": 8.0}, "channels is 8.0; allowed is a whole number from 1."),
        ("cnn", {"channels": True}, "channels is True; allowed is a whole number from 1."),
        ("deformable_cnn", {"offset_penalty": 1}, "offset_penalty is 1; allowed is a number with"),
        ("deformable_cnn", {"offset_penalty": -0.1}, "offset_penalty is -0.1; allowed is 0 or"),
        ("deformable_cnn", {"offset_penalty": float("nan")}, "offset_penalty is nan; allowed is"),
        ("resnet18", {"stem": "tiny"}, "stem is 'tiny'; choose one of imagenet, small."),
        ("resnet18_dilated", {"dilation": 3}, "dilation is 3; choose one of 1, 2."),
        ("resnet18_dilated", {"dilation": True}, "dilation is True; choose one of 1, 2."),
        ("vit", {"heads": 5}, "heads is 5, which does not divide the width, 192; choose one of 1,"),
        ("vit_pooled", {"patch": 5}, "patch is 5, which does not divide the image's side, 28;"),
        ("vit_pooled", {"patch": 56}, "choose one of 1, 2, 4, 7, 14, 28."),
        ("vit_patch_free", {"tokens": 49}, "tokens is 49; choose one of 196, 784."),
        ("vit_deep_prompts", {"prompts": 0}, "prompts is 0; allowed is a whole number from 1."),
        ("vit_deep_prompts", {"backbone": "vit"}, "backbone is 'vit'; allowed is random, imagenet"),
        ("vit_deep_prompts", {"backbone": "imagenet"}, "backbone is 'imagenet', whose weights fit"),
        ("mobilenet_v2", {"weights": "cifar"}, "weights is 'cifar'; choose one of none, imagenet."),
        ("mobilenet_v2", {"image_size": 20}, "image_size is 20; allowed is 28 to 224."),
        ("mobilenet_v2", {"width_multiplier": 0.0}, "width_multiplier is 0.0; allowed is more"),
    ],
)
def test_a_value_that_makes_no_network_is_refused_at_both_doors(
    name: str, options: dict[str, Option], refusal: str
) -> None:
    with pytest.raises(ValueError) as checked:
        check(name, options)
    assert refusal in str(checked.value)
    assert str(checked.value).startswith(f"architecture option {next(iter(options))} is ")
    with pytest.raises(ValueError) as built:
        build(name, **options)  # type: ignore[arg-type]
    assert str(built.value) == str(checked.value)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"architecture is 'simple-cnn'; did you mean simple_cnn"):
        build("simple-cnn")
    with pytest.raises(ValueError) as error:
        check("zzz", {})
    assert str(error.value).endswith(" more (`python -m fashion_hpo.train --list` shows all).")


def test_a_check_costs_no_memory_and_draws_no_number() -> None:
    state = torch.get_rng_state()
    check("vgg12", {"hidden": 1_000_000})
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.is_meta for p in skeleton("vgg12", {"hidden": 1_000_000}).parameters())


@pytest.mark.parametrize("channels", [10**12, 10**30])
def test_sizes_that_no_tensor_has_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=rf"architecture_options {{'channels': {channels}}} make"):
        check("cnn", {"channels": channels})


def test_options_change_the_network() -> None:
    assert parameter_count(build("cnn", channels=8)) < parameter_count(build("cnn"))


def test_optimized_cnn_drops_whole_channels_and_three_block_cnn_rises() -> None:
    drops = [
        m.p for m in build("three_block_cnn", dropout=0.5).modules() if isinstance(m, nn.Dropout)
    ]
    assert drops == pytest.approx([0.2, 0.3, 0.4, 0.5])
    optimized = build("optimized_cnn", dropout=0.25).modules()
    assert [m.p for m in optimized if isinstance(m, nn.Dropout2d)] == [0.25] * 4
