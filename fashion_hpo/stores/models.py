"""Write models as MLflow folders with a pt2 archive, and read only what `write_model` writes.

Loading a pt2 archive can run code even without pickle: torch evaluates symbolic sizes and guards as
Python, and calls any torch function that a node names.  So `read_model` checks the archive first.

MLflow, desktops and editors add files beside a model (`registered_model_meta`, `.DS_Store`).  They
are ignored unless they could be run: MLflow would unpickle an added `data/model.pth` instead of the
archive.
"""

import io
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml  # type: ignore[import-untyped]
from torch import nn

from fashion_hpo.design.sentences import quoted, shortened
from fashion_hpo.stores.model_files import is_runnable

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

REQUIREMENTS = [f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"]
ARCHIVE = "data/model.pt2"
FILES = {
    "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json",
    "serving_input_example.json", ARCHIVE,
}  # fmt: skip
"""All files that `write_model` writes."""
EXPORT_MODEL, EXPORT_DESCRIPTION = "model", "model.json"
"""In a folder that `register --export` wrote: the model's folder, and its name, version, classes
and files' hashes."""
FLAVORS: dict[str, dict[str, Any]] = {
    "python_function": {
        "config": {"device": None},
        "data": "data",
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": "mlflow.pytorch",
        "pickle_module_name": "mlflow.pytorch.pickle_module",
    },
    "pytorch": {"code": None, "model_data": "data"},
}
"""All that the MLmodel file says about loading, except versions."""
VERSIONS = {"python_version", "pytorch_version"}
RECORD = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(?:version|serialization_id)"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(?:weight_\d+|model_weights_config\.json)"
    r"|data/constants/(?:tensor_\d+|model_constants_config\.json)"
)
TENSOR = re.compile(r"(?:weight|tensor)_\d+")
OPERATOR = re.compile(r"torch\.ops\.aten\.\w+\.\w+")
SYMBOL = re.compile(r"Symbol\('\w+'(?:, \w+=(?:True|False))*\)")
ARITHMETIC = re.compile(r"[\d\s+\-*/()]{0,100}")
WORDS = {
    "none", "tanh", "same", "valid", "constant", "reflect", "replicate", "circular", "nearest",
    "bilinear", "bicubic", "floor", "trunc", "mean", "sum",
}  # fmt: skip
"""The strings that an operator's argument may be: modes, never a file's name."""
TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict"}


class UnsafeModelError(RuntimeError):
    """A model's files are not of this project's form, or differ from the registered files."""


def write_model(
    served: nn.Module, folder: Path, example: np.ndarray, metadata: Mapping[str, Any]
) -> None:
    """Write an MLflow model folder.

    example: raw images, uint8 (2, 28, 28) or (2, 3, 28, 28); with one image the export would fix
    the batch size at 1.
    """
    import mlflow.pytorch  # slow, and not needed to read a model

    shutil.rmtree(folder, ignore_errors=True)  # left by an attempt that died here
    mlflow.pytorch.save_model(
        served,
        str(folder),
        signature=_signature(served, example),
        input_example=example,
        pip_requirements=REQUIREMENTS,  # inferring them takes 11 s
        metadata=dict(metadata),
        serialization_format="pt2",
    )


@torch.no_grad()
def _signature(served: nn.Module, example: np.ndarray) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    classes = served(torch.from_numpy(example)).shape[1]
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, *example.shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, classes))]),
    )


def read_model(folder: Path | str) -> nn.Module:
    """Load a local model folder.

    Raises UnsafeModelError, before loading anything, if `write_model` writes no such files.
    """
    folder = Path(folder).absolute()
    try:
        _check_files(folder)
        _check_description(folder / "MLmodel")
        _check_archive(folder / ARCHIVE)
        model: nn.Module = torch.export.load(folder / ARCHIVE).module()
    except UnsafeModelError as error:
        raise UnsafeModelError(f"model {folder} has {error}; it was not loaded.") from None
    except OSError:
        raise  # a fault of the disk, not of the model
    except Exception as error:  # damaged files raise any kind of error
        reason = shortened(error, 200) or type(error).__name__
        raise UnsafeModelError(f"model {folder} cannot be read ({reason}).") from None
    return model


def metadata_of(folder: Path) -> dict[str, Any]:
    """What `write_model` was given to say about a model, of a folder that `read_model` accepts."""
    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return dict(described.get("metadata") or {})


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise UnsafeModelError("no folder")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and (name in FILES or name == "data"):
            raise UnsafeModelError(f"a link, {name}, where only files of its own are allowed")
        if name not in FILES and is_runnable(name):
            raise UnsafeModelError(f"the file {name}; allowed are {', '.join(sorted(FILES))}")
    for name in ("MLmodel", ARCHIVE):
        if not (folder / name).exists():
            raise UnsafeModelError(f"no {name}")


def _check_description(path: Path) -> None:
    described = yaml.safe_load(path.read_text(encoding="utf-8"))
    flavors = described.get("flavors") if isinstance(described, dict) else None
    if not isinstance(flavors, dict) or flavors.keys() != FLAVORS.keys():
        shown = ", ".join(map(str, flavors)) if isinstance(flavors, dict) else "none"
        raise UnsafeModelError(f"the flavors {shown}; allowed are {', '.join(FLAVORS)}")
    for flavor, allowed in FLAVORS.items():
        settings = {k: v for k, v in flavors[flavor].items() if k not in VERSIONS}
        for key in sorted(settings.keys() | allowed.keys()):
            if settings.get(key) != allowed.get(key):
                raise UnsafeModelError(
                    f"{flavor}.{key} {settings.get(key)!r}; allowed is {allowed.get(key)!r}"
                )


def _check_archive(path: Path) -> None:
    reader = torch._C.PyTorchFileReader(str(path))  # the loader's reader, so that both see the same
    for name in reader.get_all_records():
        if not RECORD.fullmatch(name):
            raise UnsafeModelError(f"{name} in its archive, where only tensors and their graph are")
        if name.endswith(".json"):
            _check_graph(json.loads(reader.get_record(name)))
        elif name.endswith(".pt"):  # the example; weights_only, because unpickling runs code
            torch.load(io.BytesIO(reader.get_record(name)), weights_only=True)


def _check_graph(value: Any) -> None:
    """Check every value that the loader would evaluate, call, import or unpickle."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in HARMLESS and not HARMLESS[key](inner):
                raise UnsafeModelError(f"{key} {quoted(str(inner), 80)} in its graph")
            _check_graph(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_graph(inner)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    """A test of text; a dict passes too, because it describes a tensor of the key's name."""
    return lambda value: (
        isinstance(value, dict) or (isinstance(value, str) and pattern.fullmatch(value) is not None)
    )


def _is_size(value: Any) -> bool:
    """Whether an expression, which torch evaluates as Python, only adds and multiplies symbols."""
    if not isinstance(value, str):
        return isinstance(value, dict)
    rest = SYMBOL.sub("0", value)
    return ARITHMETIC.fullmatch(rest) is not None and "**" not in rest


def _is_tree(value: Any) -> bool:
    """Whether a tree has only tuples, lists and dicts; for other types torch imports modules."""
    if not isinstance(value, str):
        return value is None or isinstance(value, dict)
    nodes = [json.loads(value)[1]]
    while nodes:
        node = nodes.pop()
        if node["type"] not in TREES:
            return False
        nodes += node["children_spec"]
    return True


HARMLESS: dict[str, Callable[[Any], bool]] = {
    "target": _matches(OPERATOR),
    "expr_str": _is_size,
    "in_spec": _is_tree,
    "out_spec": _is_tree,
    "path_name": _matches(TENSOR),
    "as_string": lambda value: isinstance(value, str) and value in WORDS,
    "as_strings": lambda value: value == [],
    "guards_code": lambda value: value == [],
    "use_pickle": lambda value: value is False,
    **dict.fromkeys(("as_operator", "as_custom_obj", "as_graph"), lambda value: False),
}
"""The keys that the loader acts on, each with a test that its value is harmless."""
