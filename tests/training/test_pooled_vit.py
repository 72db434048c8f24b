import torch
from torch.nn.functional import conv2d, gelu, layer_norm

from fashion_hpo.training.architectures import build, parameter_count, skeleton
from fashion_hpo.training.architectures.pooled_vit import DepthwiseLayer, PooledTransformer
from fashion_hpo.training.architectures.transformer import EncoderLayer


def test_a_depthwise_layer_is_a_layer_and_a_convolution_of_the_grid() -> None:
    torch.manual_seed(0)
    layer = DepthwiseLayer(grid=4, width=8, heads=2, mlp_ratio=2, dropout=0.0)
    tokens = torch.randn(3, 16, 8)
    beside = layer(tokens) - EncoderLayer.forward(layer, tokens)
    grid = gelu(layer_norm(tokens, (8,))).view(3, 4, 4, 8).permute(0, 3, 1, 2)
    convolved = conv2d(grid, layer.depthwise.weight, layer.depthwise.bias, padding=1, groups=8)
    expected = convolved.permute(0, 2, 3, 1).reshape(3, 16, 8)
    torch.testing.assert_close(beside, expected, atol=1e-5, rtol=1e-4)


def test_one_token_for_each_pixel_has_the_reports_parameters() -> None:
    assert parameter_count(skeleton("vit_patch_free", {"tokens": 784})) == 317_066


def test_pixels_are_tokens_row_by_row() -> None:
    network = build("vit_patch_free", tokens=784, width=8, depth=1)
    assert isinstance(network, PooledTransformer)
    image = torch.zeros(1, 1, 28, 28)
    image[..., 3, 5] = 1
    tokens = network.embedding(image)[0]
    changed = (tokens != tokens[0]).any(1).nonzero().flatten().tolist()
    assert changed == [3 * 28 + 5]
    assert network(image).shape == (1, 10)


def test_the_mean_token_is_read() -> None:
    """Without positions, the order of the patches says nothing."""
    torch.manual_seed(0)
    network = build("vit_pooled", width=16, depth=1, heads=2).eval()
    assert isinstance(network, PooledTransformer)
    image = torch.rand(1, 1, 28, 28)
    turned = image.roll(7, dims=2)  # whole patches move
    assert not torch.allclose(network(image), network(turned), atol=1e-4)
    network.position.data.zero_()
    torch.testing.assert_close(network(image), network(turned))
