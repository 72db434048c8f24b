import numpy as np
import torch

from fashion_hpo.training.randomness import (
    key,
    numpy_generator,
    seed_default_generator,
    torch_generator,
)


def test_keys_are_pinned() -> None:
    """Another value here would change every result that was ever logged."""
    assert key(0, "order", 1) == 2961819992523135983


def test_keys_differ_by_seed_purpose_and_index_and_fit_63_bits() -> None:
    keys = [
        key(seed, purpose, index)
        for seed in (0, 1, 11, 2**63 - 1)
        for purpose in ("order", "dropout")
        for index in (0, 1, 11)
    ]
    assert len(set(keys)) == len(keys)
    assert all(0 <= found < 2**63 for found in keys)


def test_generators_do_not_depend_on_what_was_drawn_before() -> None:
    def draws() -> tuple[list[int], list[float], list[float]]:
        order = torch.randperm(20, generator=torch_generator(5, "order", 2)).tolist()
        uniform = numpy_generator(5, "mixup", 2).uniform(size=4).tolist()
        seed_default_generator(5, "dropout", 2)
        return order, uniform, torch.rand(4).tolist()

    first = draws()
    torch.rand(100)
    np.random.default_rng().uniform()
    assert draws() == first


def test_a_generator_leaves_the_default_one_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    torch.randperm(20, generator=torch_generator(5, "order"))
    assert torch.equal(torch.rand(3), expected)
