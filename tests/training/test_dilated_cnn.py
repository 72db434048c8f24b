import torch

from fashion_hpo.training.architectures import build


def test_dilation_one_is_the_plain_cnn_and_two_reads_further() -> None:
    reached = []
    for dilation in (1, 2, 3):
        network = build("dilated_cnn", channels=2, dilation=dilation)
        pixel = torch.zeros(1, 1, 28, 28)
        pixel[..., 14, 14] = 1
        changed = (network[0](pixel) != network[0](torch.zeros_like(pixel))).any(1)[0]
        reached.append(changed.any(0).nonzero().flatten().tolist())
    assert reached == [[13, 14, 15], [12, 14, 16], [11, 14, 17]]
    images = torch.rand(2, 1, 28, 28)
    torch.manual_seed(0)
    plain = build("cnn")
    torch.manual_seed(0)
    assert torch.equal(build("dilated_cnn", dilation=1)(images), plain(images))
    torch.manual_seed(0)
    assert not torch.equal(build("dilated_cnn")(images), plain(images))
