import pytest
import torch
from torch import nn

from fashion_hpo.training.architectures import build
from fashion_hpo.training.architectures.transformer import EncoderLayer, PatchEmbedding, attend
from fashion_hpo.training.architectures.vit import VisionTransformer


def test_a_layer_equals_torchs() -> None:
    torch.manual_seed(0)
    ours = EncoderLayer(width=24, heads=3, mlp_ratio=2, dropout=0.0)
    theirs = nn.TransformerEncoderLayer(
        24, 3, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    norm, attention = ours.attention[0], ours.attention[1]
    theirs.norm1.load_state_dict(norm.state_dict())
    theirs.self_attn.in_proj_weight.data = attention.queries_keys_values.weight.data
    theirs.self_attn.in_proj_bias.data = attention.queries_keys_values.bias.data
    theirs.self_attn.out_proj.load_state_dict(attention.output.state_dict())
    theirs.norm2.load_state_dict(ours.mlp[0].state_dict())
    theirs.linear1.load_state_dict(ours.mlp[1].state_dict())
    theirs.linear2.load_state_dict(ours.mlp[4].state_dict())
    tokens = torch.randn(2, 7, 24)
    torch.testing.assert_close(ours(tokens), theirs(tokens))


def test_patches_are_taken_row_by_row() -> None:
    embedding = PatchEmbedding(patch=14, width=3, in_channels=1)
    nn.init.ones_(embedding.projection.weight)
    nn.init.zeros_(embedding.projection.bias)
    image = torch.zeros(1, 1, 28, 28)
    image[..., :14, 14:] = 1  # the upper right quarter
    assert embedding(image)[0, :, 0].tolist() == [0, 14 * 14, 0, 0]


def test_the_class_token_starts_at_zero_and_every_place_has_its_position() -> None:
    network = build("vit")
    assert isinstance(network, VisionTransformer)
    assert not network.class_token.any()
    assert network.position.shape == (1, 50, 192)
    assert len(set(network.position[0, :, 0].tolist())) == 50


def test_the_head_reads_the_class_token_alone() -> None:
    network = build("vit", width=24, depth=1).eval()
    assert isinstance(network, VisionTransformer)
    seen: list[torch.Size] = []
    network.head.register_forward_pre_hook(lambda layer, given: seen.append(given[0].shape))
    network(torch.rand(2, 1, 28, 28))
    assert seen == [torch.Size([2, 24])]


def test_its_options_are_shapes() -> None:
    network = build("vit", patch=7, width=24, depth=3, heads=4, mlp_ratio=2)
    assert isinstance(network, VisionTransformer)
    assert network.position.shape == (1, 17, 24)
    assert len(network.layers) == 3
    first = network.layers[0]
    assert isinstance(first, EncoderLayer)
    assert first.attention[1].heads == 4
    assert first.mlp[1].out_features == 48


@pytest.mark.parametrize("tokens", [50, 196])
def test_attention_is_the_same_in_both_precisions(tokens: int) -> None:
    """With few tokens it is written out in bfloat16."""
    torch.manual_seed(0)
    exact = [torch.randn(2, 3, tokens, 8, requires_grad=True) for _ in range(3)]
    rounded = [value.detach().bfloat16().requires_grad_() for value in exact]
    outputs, coarse = attend(*exact), attend(*rounded)
    torch.testing.assert_close(coarse.float(), outputs, atol=0.03, rtol=0.03)
    outputs.sum().backward()
    coarse.sum().backward()
    for one, other in zip(exact, rounded, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert (one.grad - other.grad.float()).norm() < 0.02 * (one.grad.norm() + 1)
