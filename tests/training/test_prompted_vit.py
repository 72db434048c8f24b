from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.architectures import build, build_for
from fashion_hpo.training.architectures.prompted_vit import PromptedTransformer
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from tests.design.test_summaries import EPOCH
from tests.training.tiny import tiny_config, trained, weights

NAMES = ["vit_shallow_prompts", "vit_deep_prompts"]
over_both = pytest.mark.parametrize("name", NAMES)
LEARNED = {"prompts", "head.weight", "head.bias"}


def with_backbone(name: str, backbone: str = "trial:7", **fields: object) -> TrainConfig:
    config = tiny_config(name, **fields)
    return config.replace(
        architecture_options={**config.architecture_options, "backbone": backbone}
    )


@pytest.fixture
def trained_vit(tmp_path: Path) -> Path:
    file = tmp_path / "vit"
    torch.save(build_for(tiny_config("vit", seed=5)).state_dict(), file)
    return file


@over_both
def test_prompts_stand_between_the_class_token_and_the_patches(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, width=16, depth=3, heads=2, prompts=4).eval()
    assert isinstance(network, PromptedTransformer)
    seen: list[torch.Tensor] = []
    for layer in network.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    images = torch.rand(2, 1, 28, 28)
    network(images)
    embedded = network.embed(images)
    assert [tokens.shape for tokens in seen] == [(2, 1 + 4 + 49, 16)] * 3
    torch.testing.assert_close(seen[0][:, :1], embedded[:, :1])
    torch.testing.assert_close(seen[0][:, 5:], embedded[:, 1:])
    fresh = [torch.equal(tokens[1, 1:5], p) for tokens, p in zip(seen, network.prompts)]  # noqa: B905
    assert fresh == [True] * (1 if name == "vit_shallow_prompts" else 3)


@over_both
def test_training_changes_prompts_and_head_alone(
    name: str, splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(name, epochs=1, weight_decay=0.1, optimizer="adamw")
    before, after = weights(build_for(config)), weights(trained(config, splits, hardware).model)
    assert {layer for layer in before if before[layer] != after[layer]} == LEARNED


@over_both
def test_frozen_layers_do_not_vary_and_dropout_is_on_the_prompts_and_the_head(name: str) -> None:
    network = build(name, dropout=0.5, width=16, depth=2, heads=2).train()
    rates = {n: m.p for n, m in network.named_modules() if isinstance(m, torch.nn.Dropout)}
    assert rates.pop("dropout") == 0.5
    assert set(rates.values()) == {0.0}


@over_both
def test_a_trained_backbone_is_taken_and_its_head_is_not(name: str, trained_vit: Path) -> None:
    config = with_backbone(name)
    network, random = build_for(config, trained_vit), build_for(tiny_config(name))
    vit, values = torch.load(trained_vit, weights_only=True), network.state_dict()
    for layer, value in vit.items():
        assert torch.equal(values[layer], value) == (layer != "head.weight"), layer
    for layer in LEARNED:  # they come from the seed alone
        assert torch.equal(values[layer], random.state_dict()[layer]), layer


@over_both
def test_a_backbone_of_another_shape_is_refused_by_layer(name: str, tmp_path: Path) -> None:
    torch.save(build("vit", width=16, depth=3, heads=2, patch=7).state_dict(), tmp_path / "vit")
    with pytest.raises(ValueError) as error:
        build_for(with_backbone(name), tmp_path / "vit")
    told = str(error.value)
    assert told.startswith("backbone trial:7 does not fit: layers.2.")
    assert "is unknown here" in told
    assert told.endswith(
        "more; set architecture_options to those with which the weights were trained."
    )


def test_missing_and_misshapen_layers_are_named(trained_vit: Path, tmp_path: Path) -> None:
    values = torch.load(trained_vit, weights_only=True)
    del values["class_token"]
    values["norm.bias"] = torch.zeros(3)
    torch.save(values, tmp_path / "half")
    with pytest.raises(ValueError) as error:
        build_for(with_backbone("vit_deep_prompts"), tmp_path / "half")
    assert "class_token is missing; norm.bias is 3 and not 16; set" in str(error.value)


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("it ran",))


def test_a_file_that_is_no_state_dict_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, file = with_backbone("vit_deep_prompts"), tmp_path / "vit"
    with pytest.raises(ValueError, match=r"the weights .*vit do not exist"):
        build_for(config, file)
    for content in (b"", b"no weights", b"PK\x03\x04"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"the weights .*vit cannot be read \(.*\); give"):
            build_for(config, file)
    torch.save({"weights": Code()}, file)
    with pytest.raises(ValueError, match=r"the weights .*vit cannot be read"):
        build_for(config, file)
    assert capsys.readouterr().out == ""
    torch.save([torch.zeros(1)], file)
    with pytest.raises(ValueError, match=r"the weights .*vit are not a state dict"):
        build_for(config, file)


def test_a_backbone_without_its_file_and_a_file_without_a_backbone_are_refused(
    trained_vit: Path,
) -> None:
    with pytest.raises(ValueError, match=r"backbone is 'models:/vit@champion', and its weights"):
        build_for(with_backbone("vit_deep_prompts", "models:/vit@champion"))
    with pytest.raises(ValueError, match=r"backbone_file is .*, but vit_deep_prompts takes none"):
        build_for(tiny_config("vit_deep_prompts"), trained_vit)
    with pytest.raises(ValueError, match=r"backbone_file is .*, but cnn takes none"):
        build_for(tiny_config("cnn"), trained_vit)


@over_both
def test_a_checkpoint_holds_what_is_learned_and_the_hash_of_the_rest(
    name: str, splits: SearchSplits, hardware: Hardware, tmp_path: Path
) -> None:
    config = tiny_config(name, epochs=1, early_stopping_patience=1)
    state = trained(config, splits, hardware)
    state.save(tmp_path / "checkpoint")
    contents = torch.load(tmp_path / "checkpoint", weights_only=True)
    assert set(contents["model"]) == set(contents["best_weights"]) == LEARNED
    assert contents["frozen_sha256"] == state.frozen_sha256
    assert len(contents["frozen_sha256"]) == 64
    learned = sum(p.numel() for p in state.model.parameters() if p.requires_grad)
    size = (tmp_path / "checkpoint").stat().st_size
    assert size < 4 * 4 * learned + 20_000  # weights, best weights and Adam's two moments


def test_a_checkpoint_is_refused_on_another_backbone(
    hardware: Hardware, trained_vit: Path, tmp_path: Path
) -> None:
    config = with_backbone("vit_deep_prompts")
    TrainingState(config, build_for(config, trained_vit), hardware).save(tmp_path / "checkpoint")
    torch.save(build_for(tiny_config("vit", seed=6)).state_dict(), tmp_path / "other")
    state = TrainingState(config, build_for(config, tmp_path / "other"), hardware)
    with pytest.raises(ValueError, match=r"checkpoint checkpoint belongs to other frozen weights"):
        state.load(tmp_path / "checkpoint")
    TrainingState(config, build_for(config, trained_vit), hardware).load(tmp_path / "checkpoint")


def test_a_network_that_learns_everything_is_kept_whole(hardware: Hardware, tmp_path: Path) -> None:
    config = tiny_config("optimized_cnn")
    state = TrainingState(config, build_for(config), hardware)
    state.save(tmp_path / "checkpoint")
    contents = torch.load(tmp_path / "checkpoint", weights_only=True)
    assert list(contents) == [
        "config", "model", "optimizer", "history", "joules", "best_loss", "best_epoch",
        "best_weights",
    ]  # fmt: skip
    assert list(contents["model"]) == list(state.model.state_dict())


def test_best_weights_are_put_back_beside_the_frozen_ones(hardware: Hardware) -> None:
    config = tiny_config("vit_deep_prompts", early_stopping_patience=1)
    state = TrainingState(config, build_for(config), hardware)
    before = weights(state.model)
    state.record(replace(EPOCH, val_loss=1.0))
    with torch.no_grad():
        for parameter in state.model.parameters():
            if parameter.requires_grad:
                parameter.add_(1)
    assert weights(state.model) != before
    state.restore_best_weights()
    assert weights(state.model) == before
