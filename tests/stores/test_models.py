"""Model folders that must not be loaded, made for real: each would write a file if it were."""

import io
import json
import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import pytest
import torch
import yaml
from torch import nn

from fashion_hpo.stores import model_files
from fashion_hpo.stores.models import UnsafeModelError, read_model, write_model
from fashion_hpo.training.architectures import build
from fashion_hpo.training.packaging import served

IMAGES = torch.zeros(2, 28, 28, dtype=torch.uint8)
Records = dict[str, bytes]


class Runs:
    """Unpickled, it touches a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.canary}",))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "model"
    write_model(served(build("simple_cnn"), "unit"), folder, IMAGES.numpy(), {"classes": ["a"]})
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A good model folder of this test's own."""
    return Path(shutil.copytree(written, tmp_path / "model"))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """What a model's own code would write."""
    return tmp_path / "canary"


def refusal(folder: Path, canary: Path) -> str:
    """The sentence with which a folder is refused; nothing of it may have run."""
    with pytest.raises(UnsafeModelError) as refused:
        read_model(folder)
    assert not canary.exists()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def change_description(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "MLmodel"
    described = yaml.safe_load(path.read_text())
    change(described)
    path.write_text(yaml.safe_dump(described))


def change_archive(folder: Path, change: Callable[[Records], object]) -> None:
    """Write the archive anew, with torch's own writer."""
    path = str(folder / "data" / "model.pt2")
    reader = torch._C.PyTorchFileReader(path)
    records = {name: reader.get_record(name) for name in reader.get_all_records()}
    change(records)
    writer = torch._C.PyTorchFileWriter(path)
    for name, content in records.items():
        if name not in ("version", "byteorder", ".data/version", ".data/serialization_id"):
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def change_json(folder: Path, record: str, change: Callable[[dict[str, Any]], object]) -> None:
    def changed(records: Records) -> None:
        value = json.loads(records[record])
        change(value)
        records[record] = json.dumps(value).encode()

    change_archive(folder, changed)


def in_graph(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda folder: change_json(folder, "models/model.json", change)


def in_weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    record = "data/weights/model_weights_config.json"
    return lambda folder: change_json(folder, record, lambda value: change(value["config"]))


def test_an_archive_written_anew_can_be_read(folder: Path) -> None:
    """The refusals below are for what is changed, not for the writing."""
    change_archive(folder, lambda records: None)
    change_description(folder, lambda described: None)
    assert read_model(folder)(IMAGES).shape == (2, 10)


def test_a_pickled_model_is_refused(tmp_path: Path, canary: Path) -> None:
    class Evil(nn.Linear):
        def __reduce__(self) -> Any:
            return Runs(canary).__reduce__()

    folder = tmp_path / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            Evil(1, 1), str(folder), serialization_format="pickle", pip_requirements=["torch"]
        )
    assert (folder / "data" / "model.pth").exists()
    assert "model.pth" in refusal(folder, canary)
    with pytest.raises(AttributeError, match="eval"):  # it is as bad as it is meant to be
        torch.load(folder / "data" / "model.pth", weights_only=False).eval()
    assert canary.exists()


def test_a_pickle_in_the_place_of_the_archive_is_refused(folder: Path, canary: Path) -> None:
    (folder / "data" / "model.pt2").write_bytes(pickle.dumps(Runs(canary)))
    assert "cannot be read" in refusal(folder, canary)


def test_a_loader_of_its_own_is_refused(folder: Path, canary: Path) -> None:
    code = folder / "code"
    code.mkdir()
    (code / "evil.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    change_description(
        folder,
        lambda d: d["flavors"]["python_function"].update(loader_module="evil", code="code"),
    )
    assert "the file code" in refusal(folder, canary)
    shutil.rmtree(code)
    assert "python_function.code 'code'; allowed is None" in refusal(folder, canary)


@pytest.mark.parametrize(
    ("flavor", "key", "value"),
    [
        ("python_function", "loader_module", "evil"),
        ("python_function", "code", "code"),
        ("python_function", "model_code_path", "evil.py"),
        ("python_function", "pickle_module_name", "cloudpickle"),
        ("python_function", "data", "../data"),
        ("python_function", "python_model", "python_model.pkl"),
        ("pytorch", "code", "code"),
        ("pytorch", "model_data", "/etc"),
        ("pytorch", "model_data", "../model/data"),
        ("pytorch", "extra_files", [{"path": "x"}]),
    ],
)
def test_a_description_of_something_else_is_refused(
    folder: Path, canary: Path, flavor: str, key: str, value: object
) -> None:
    change_description(folder, lambda described: described["flavors"][flavor].update({key: value}))
    assert f"has {flavor}.{key} {value!r}; allowed is " in refusal(folder, canary)


@pytest.mark.parametrize("change", [
    lambda d: d["flavors"].update(sklearn={"pickled_model": "model.pkl"}),
    lambda d: d["flavors"].pop("python_function"), lambda d: d.pop("flavors"),
    lambda d: d.update(flavors=["pytorch"]),
])  # fmt: skip
def test_other_flavors_are_refused(folder: Path, canary: Path, change: Any) -> None:
    change_description(folder, change)
    assert "has the flavors " in refusal(folder, canary)


@pytest.mark.parametrize("text", ["", "- a\n", "flavors: [", "!!python/object/apply:os.abort []"])
def test_a_description_that_is_none_is_refused(folder: Path, canary: Path, text: str) -> None:
    (folder / "MLmodel").write_text(text)
    refusal(folder, canary)


@pytest.mark.parametrize(
    "name",
    [
        "data/model.pth", "data/pickle_module_info.txt", "evil.py", "model.pkl", "code/evil.py",
        "data/Model.PTH", "code/evil.so", ".hidden/evil.pyc",
    ],
)  # fmt: skip
def test_a_file_that_could_be_run_is_refused(folder: Path, canary: Path, name: str) -> None:
    hashes = model_files.file_hashes(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(Runs(canary)))
    assert f"has the file {name}; allowed are MLmodel" in refusal(folder, canary)
    assert model_files.changes(folder, hashes) == [f"{name} is added"]


LITTER = [
    "registered_model_meta", ".DS_Store", "data/.DS_Store", "._MLmodel", "Thumbs.db", "desktop.ini",
    "MLmodel~", ".MLmodel.swp", "data/model.pt2~", "lock", "data/lock", "notes/read me.txt",
    ".ipynb_checkpoints/MLmodel-checkpoint",
]  # fmt: skip
"""What MLflow, desktops, editors and people leave beside a model."""


@pytest.mark.parametrize("name", LITTER)
def test_what_others_leave_is_ignored(folder: Path, canary: Path, name: str) -> None:
    hashes = model_files.file_hashes(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(Runs(canary)))
    assert model_files.changes(folder, hashes) == []
    assert read_model(folder)(IMAGES).shape == (2, 10)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["lock", ".DS_Store", "Thumbs.db", "desktop.ini"])
def test_a_desktops_files_are_none_of_the_models(folder: Path, name: str) -> None:
    """They change later; a hash of them would make the model an altered one."""
    hashes = model_files.file_hashes(folder)
    (folder / "data" / name).touch()
    assert model_files.file_hashes(folder) == hashes


def test_a_link_in_place_of_a_file_is_a_change(folder: Path) -> None:
    hashes = model_files.file_hashes(folder)
    (folder / "MLmodel").rename(folder.parent / "elsewhere")
    (folder / "MLmodel").symlink_to(folder.parent / "elsewhere")
    (folder / "link").symlink_to("/")
    assert model_files.changes(folder, hashes) == ["MLmodel is altered"]


@pytest.mark.parametrize("name", ["data/model.pt2", "MLmodel", "data", "requirements.txt"])
def test_a_link_is_refused(folder: Path, canary: Path, name: str) -> None:
    elsewhere = folder.parent / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    assert f"has a link, {name}, where" in refusal(folder, canary)


@pytest.mark.parametrize("name", ["data/model.pt2", "MLmodel"])
def test_an_incomplete_folder_is_refused(folder: Path, canary: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"has no {name}" in refusal(folder, canary)


@pytest.mark.parametrize("address", ["models:/fashion-mnist-classifier@champion", "s3://a/b", ""])
def test_an_address_is_no_folder(address: str, canary: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / address, canary)
    if address:
        with pytest.raises(UnsafeModelError, match="has no folder"):
            read_model(address)


def code(canary: Path) -> str:
    return f"__import__('os').system('touch {canary}')"


def test_code_in_a_symbolic_size_is_refused(folder: Path, canary: Path) -> None:
    """Without any pickle in it, torch alone runs this when the archive is loaded."""
    name = "models/model.json"

    def change(records: Records) -> None:
        size = b"Symbol('s"
        start = records[name].index(size)
        end = records[name].index(b')"', start) + 1
        records[name] = records[name].replace(records[name][start:end], code(canary).encode())

    change_archive(folder, change)
    assert "expr_str" in refusal(folder, canary)
    with pytest.raises(AttributeError, match="is_Integer"):
        mlflow.pytorch.load_model(str(folder))
    assert canary.exists(), "MLflow alone, with unpickling switched off, runs it"


def test_code_in_a_guard_is_refused(folder: Path, canary: Path) -> None:
    in_graph(lambda graph: graph.update(guards_code=[f"{code(canary)} == 0"]))(folder)
    assert "guards_code" in refusal(folder, canary)
    mlflow.pytorch.load_model(str(folder))(IMAGES)
    assert canary.exists(), "MLflow alone, with unpickling switched off, runs it"


def last_node(graph: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = graph["graph_module"]["graph"]["nodes"][-1]
    return node


def argument(kind: str, value: object) -> list[dict[str, Any]]:
    return [{"name": "filename", "arg": {kind: value}, "kind": 1}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (in_graph(lambda g: last_node(g).update(target="torch.os.system")), "target 'torch.os"),
        (in_graph(lambda g: last_node(g).update(target="_operator.call")), "target '_operator"),
        (in_graph(lambda g: last_node(g).update(target="torch.ops.aten.add")), "target"),
        (in_graph(lambda g: last_node(g).update(target="torch.ops.a.b.c")), "target"),
        (in_graph(lambda g: last_node(g).update(inputs=argument("as_string", "canary"))), "as_str"),
        (in_graph(lambda g: last_node(g).update(inputs=argument("as_strings", ["a"]))), "as_strin"),
        (in_graph(lambda g: last_node(g).update(inputs=argument("as_operator", "a"))), "as_opera"),
        (in_graph(lambda g: last_node(g).update(inputs=argument("as_custom_obj", {}))), "as_cust"),
        (in_graph(lambda g: last_node(g).update(inputs=argument("as_graph", {}))), "as_graph"),
        (
            in_graph(
                lambda g: g["graph_module"]["module_call_graph"][0]["signature"].update(
                    in_spec='[1, {"type": "collections.defaultdict", "context": "{}", '
                    '"children_spec": []}]'
                )
            ),
            "in_spec",
        ),
        (in_weights(lambda w: next(iter(w.values())).update(use_pickle=True)), "use_pickle 'True'"),
        (in_weights(lambda w: next(iter(w.values())).update(use_pickle={"a": 1})), "use_pickle"),
        (in_weights(lambda w: next(iter(w.values())).update(path_name="../x")), "path_name '../x'"),
        (
            in_weights(lambda w: next(iter(w.values())).update(path_name="custom_obj_0")),
            "path_name 'custom_obj_0'",
        ),
    ],
)
def test_a_graph_of_more_than_operators_is_refused(
    folder: Path, canary: Path, change: Callable[[Path], None], words: str
) -> None:
    change(folder)
    assert words in refusal(folder, canary)


@pytest.mark.parametrize(
    "size", ["9**9**9", "open('x')", "Symbol(evil)", "Symbol('a', evil=True).b", "x", "1" * 101]
)
def test_a_size_that_is_no_sum_of_symbols_is_refused(folder: Path, canary: Path, size: str) -> None:
    in_graph(lambda graph: graph.update(more=[{"as_expr": {"expr_str": size}}]))(folder)
    assert "expr_str" in refusal(folder, canary)


@pytest.mark.parametrize(
    "size", ["Symbol('s34', positive=True, integer=True)", "2*Symbol('s0') + 1", "784"]
)
def test_a_size_of_symbols_is_read(folder: Path, size: str) -> None:
    in_graph(lambda graph: graph.update(more=[{"as_expr": {"expr_str": size}}]))(folder)
    assert read_model(folder)(IMAGES).shape == (2, 10)


def pickled(canary: Path) -> bytes:
    """As torch.save writes it."""
    buffer = io.BytesIO()
    torch.save(Runs(canary), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("data/sample_inputs/model.pt", "cannot be read (Weights only load failed."),
        ("data/constants/custom_obj_0", "has data/constants/custom_obj_0 in its archive"),
        ("data/constants/opaque_obj_0", "has data/constants/opaque_obj_0 in its archive"),
        ("data/constants/model.pt", "has data/constants/model.pt in its archive"),
        ("data/weights/model.pt", "has data/weights/model.pt in its archive"),
        ("data/aotinductor/model/a.so", "has data/aotinductor/model/a.so in its archive"),
        ("extra/evil.py", "has extra/evil.py in its archive"),
        ("models/other.json", "has models/other.json in its archive"),
    ],
)
def test_a_pickle_in_the_archive_is_refused(
    folder: Path, canary: Path, record: str, words: str
) -> None:
    change_archive(folder, lambda records: records.update({record: pickled(canary)}))
    assert words in refusal(folder, canary)


def test_the_pickle_of_the_archive_would_run(canary: Path) -> None:
    torch.load(io.BytesIO(pickled(canary)), weights_only=False)
    assert canary.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"\x00" * 1000])
def test_a_damaged_archive_is_refused(folder: Path, canary: Path, content: bytes) -> None:
    (folder / "data" / "model.pt2").write_bytes(content)
    refusal(folder, canary)


def test_a_truncated_archive_is_refused(folder: Path, canary: Path) -> None:
    path = folder / "data" / "model.pt2"
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read" in refusal(folder, canary)


def test_a_deeply_nested_graph_is_refused(folder: Path, canary: Path) -> None:
    nested = b"[" * 100_000 + b"]" * 100_000
    change_archive(folder, lambda records: records.update({"models/model.json": nested}))
    assert "cannot be read" in refusal(folder, canary)


def test_changes_are_named_file_by_file(folder: Path) -> None:
    kept = model_files.file_hashes(folder)
    assert model_files.changes(folder, kept) == []
    (folder / "data" / "model.pt2").unlink()
    (folder / "MLmodel").write_text("other")
    (folder / "data" / "model.pth").write_bytes(np.zeros(3).tobytes())
    assert model_files.changes(folder, kept) == [
        "MLmodel is altered", "data/model.pt2 is missing", "data/model.pth is added",
    ]  # fmt: skip
