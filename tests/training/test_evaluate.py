import numpy as np
import pytest
import torch
from torch import nn

from fashion_hpo.training.architectures import build
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.evaluate import logits_of, normalise, score


@pytest.mark.parametrize(("pixel_range", "low"), [("unit", 0.0), ("symmetric", -1.0)])
def test_pixels_span_the_range(pixel_range: str, low: float, hardware: Hardware) -> None:
    images = torch.arange(256, dtype=torch.uint8)[:, None, None].expand(256, 28, 28)
    pixels = normalise(images, pixel_range, hardware)  # type: ignore[arg-type]
    assert pixels.shape == (256, 1, 28, 28)
    assert pixels.dtype == torch.float32
    expected = torch.linspace(low, 1, 256)
    torch.testing.assert_close(pixels[:, 0, 5, 5], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_logits_are_those_of_evaluation_mode_and_the_mode_is_put_back(
    training: bool, splits: SearchSplits, hardware: Hardware
) -> None:
    model = build("simple_cnn", dropout=0.5).train(training)
    logits = logits_of(model, splits.train, "unit", hardware)
    assert model.training is training
    assert logits.shape == (400, 10)
    assert not logits.requires_grad
    with torch.no_grad():
        expected = model.eval()(normalise(splits.train.images, "unit", hardware))
    torch.testing.assert_close(logits, expected)


def test_no_image_is_lost_where_the_split_is_larger_than_a_batch(hardware: Hardware) -> None:
    images = torch.arange(1203).remainder(256).to(torch.uint8)[:, None, None].expand(-1, 28, 28)
    split = Split(images, torch.zeros(1203, dtype=torch.int64))
    first_pixels = nn.Sequential(nn.Flatten(), nn.AvgPool1d(1), nn.Identity())
    logits = logits_of(first_pixels, split, "unit", hardware)
    assert torch.equal(logits[:, 0], images[:, 0, 0].float() / 255)


def test_score_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]))
    loss, accuracy = score(logits, torch.tensor([1, 2]))
    assert loss.item() == pytest.approx(-(np.log(0.25) + np.log(0.6)) / 2)
    assert accuracy == 0.5


def test_a_loss_that_is_not_finite_stays_so() -> None:
    assert score(torch.full((2, 10), float("nan")), torch.tensor([1, 2])).loss.isnan()
