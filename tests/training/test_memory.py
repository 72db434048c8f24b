from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training import memory
from fashion_hpo.training.architectures import CATALOGUE, build_for, skeleton
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import train
from tests.training.tiny import tiny_config, trained


@pytest.mark.parametrize("error", [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 800 bytes."),
    RuntimeError("could not create a memory object"),
    RuntimeError("could not create a primitive"),
])  # fmt: skip
def test_memory_that_ran_out_is_known(error: Exception) -> None:
    assert memory.is_exhausted(error)


@pytest.mark.parametrize("error", [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (7x3 and 4x10)"),
    RuntimeError(),
    ValueError("out of memory"),  # torch raises no such
    KeyError("memory"),
    OSError(12, "Cannot allocate memory of a disk"),
])  # fmt: skip
def test_other_errors_are_not(error: Exception) -> None:
    assert not memory.is_exhausted(error)


def test_what_torch_raises_for_an_absurd_size_is_known() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.is_exhausted(raised.value)


WITHOUT_NORM = {
    "cnn", "dilated_cnn", "deformable_cnn", "simple_cnn", "lenet5",
    "vit", "vit_shallow_prompts", "vit_deep_prompts",
    "vit_pooled", "vit_depthwise", "vit_patch_free",
}  # fmt: skip
WITH_NORM = {
    "optimized_cnn", "three_block_cnn", "vgg8", "vgg8_separable", "vgg8_wide", "vgg12",
    "resnet9", "resnet18", "resnet18_narrow", "resnet18_wide", "resnet18_dilated",
    "resnet18_7x7", "resnet18_7x7_dilated", "cnn_transformer", "mobilenet_v2",
}  # fmt: skip


@pytest.mark.parametrize(("name", "depends"), [
    *((name, False) for name in sorted(WITHOUT_NORM)),
    *((name, True) for name in sorted(WITH_NORM)),
])  # fmt: skip
def test_networks_with_batch_normalisation_depend_on_the_batch(name: str, depends: bool) -> None:
    assert memory.depends_on_batch(skeleton(name, {})) == depends


def test_the_whole_catalogue_is_in_that_table() -> None:
    assert set(CATALOGUE) == WITHOUT_NORM | WITH_NORM


def test_other_norms_do_not_depend_on_the_batch() -> None:
    assert not memory.depends_on_batch(nn.Sequential(nn.GroupNorm(1, 2), nn.LayerNorm(4)))


WAYS: list[dict[str, Any]] = [
    {},
    {"mixup_alpha": 0.4},
    {"label_smoothing": 0.1},
    {"accumulation": 3},
    {"mixup_alpha": 0.4, "label_smoothing": 0.1, "accumulation": 3},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(way) or "plain")
def test_batches_in_pieces_make_the_same_steps(
    way: dict[str, Any], splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(
        "cnn", dropout=0.0, epochs=2, train_images=144, optimizer="sgd", learning_rate=0.1,
        momentum=0.9, **way,
    )  # fmt: skip
    whole = trained(config, splits, hardware)
    for micro_batch in (16, 13, 1, 1000):  # batches have 64 images, the last 16
        pieces = trained(config, splits, replace(hardware, micro_batch=micro_batch))
        for one, other in zip(whole.model.parameters(), pieces.model.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        for one_epoch, other_epoch in zip(whole.history, pieces.history, strict=True):
            assert one_epoch.train_loss == pytest.approx(other_epoch.train_loss, rel=1e-4)
            assert one_epoch.val_loss == pytest.approx(other_epoch.val_loss, rel=1e-4)


def passing(config: TrainConfig, splits: SearchSplits, hardware: Hardware) -> list[int]:
    """How many images pass at once in a training."""
    sizes: list[int] = []
    network = build_for(config)
    network.register_forward_pre_hook(
        lambda module, given: sizes.append(len(given[0])) if module.training else None
    )
    for _ in train(TrainingState(config, network, hardware), splits):
        pass
    return sizes


@pytest.mark.parametrize(("name", "micro_batch", "batch_sizes"), [
    *((name, memory.SMALLEST, [65]) for name in CATALOGUE),
    ("optimized_cnn", 4, [5, 16, 65]),
    ("optimized_cnn", 16, [5, 16, 65]),
])  # fmt: skip
def test_no_piece_is_one_image(
    name: str,
    micro_batch: int,
    batch_sizes: list[int],
    splits: SearchSplits,
    hardware: Hardware,
) -> None:
    """Batch normalisation cannot be taken over it."""
    sizes: list[int] = []
    for batch_size in batch_sizes:  # the last batches have 3, 4 and 3 images
        config = tiny_config(name, epochs=1, batch_size=batch_size, train_images=68)
        seen = passing(config, splits, replace(hardware, micro_batch=micro_batch))
        assert sum(seen) == 68
        sizes += seen
    assert min(sizes) >= 2
    assert max(sizes) == micro_batch
