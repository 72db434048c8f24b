"""Each network of the catalogue is written as ONNX and computes the same."""

import pytest
import torch

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.data_set import FASHION_MNIST
from fashion_hpo.registering.export import TOLERANCE, _as_onnx, _largest_difference
from fashion_hpo.running.outcome import AlteredModelError
from fashion_hpo.training import packaging
from fashion_hpo.training.architectures import CATALOGUE, build_for
from tests.training.test_catalogue import SMALL


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_network_computes_the_same_as_onnx(name: str) -> None:
    pytest.importorskip("onnxruntime")
    config = TrainConfig(architecture=name, architecture_options=SMALL.get(name, {}), dropout=0.3)
    model = packaging.served(build_for(config), config.pixel_range)
    images = torch.randint(0, 256, (9, 28, 28), dtype=torch.uint8)
    written = _as_onnx(model, config, FASHION_MNIST)
    assert _largest_difference(written, model, images) <= TOLERANCE


def test_a_difference_is_refused() -> None:
    pytest.importorskip("onnxruntime")
    config = TrainConfig(architecture="simple_cnn")
    models = [
        packaging.served(build_for(config.replace(seed=seed)), config.pixel_range)
        for seed in range(2)
    ]
    written = _as_onnx(models[0], config, FASHION_MNIST)
    images = torch.randint(0, 256, (9, 28, 28), dtype=torch.uint8)
    with pytest.raises(AlteredModelError, match="so nothing was exported"):
        _largest_difference(written, models[1], images)
