"""Write models, and export each network once in a process.

Tracing a network and reading its graph takes most of a second.  Models that differ in nothing but
the values of their weights have the same program, so a later model takes the program of an earlier
one: its archive has the earlier archive's records and its own weights.
"""

import hashlib
import io
import json
import pickle
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fashion_hpo.stores.models import ARCHIVE, UnsafeModelError, read_model, write_model

WEIGHTS = "data/weights/"
DESCRIPTION = "MLmodel"
OF_ONE_MODEL = {"metadata", "model_uuid", "utc_time_created"}
WRITTEN_BY_TORCH = {"version", "byteorder", ".data/version", ".data/serialization_id"}
ARCHIVE_VERSION = 6  # as `torch.export.save` writes
MOST_PROGRAMS = 16

Structure = tuple[object, ...]

_programs: dict[Structure, "_Program"] = {}


@dataclass(frozen=True)
class _Program:
    """What the models of one structure share.

    module: what reading an archive gives, its weights without values between two models;
    weights: the name of each weight by its record's name.
    """

    module: nn.Module
    description: Mapping[str, Any]
    files: Mapping[str, bytes]
    records: Mapping[str, bytes]
    weights: Mapping[str, str]


@contextmanager
def exported(
    served: nn.Module, folder: Path, example: np.ndarray, metadata: Mapping[str, Any]
) -> Iterator[nn.Module]:
    """Write a model's folder, as `write_model` does, and read the model back, for use within."""
    structure = _structure(served, example)
    program = _programs.pop(structure, None)  # so that no model within changes this one's weights
    if program is None:
        write_model(served, folder, example, metadata)
        module = read_model(folder)
        program = _program(served, folder, module)
    else:
        _write(program, served, folder, metadata)
        module = _read(program, folder)
    yield module
    if structure and program is not None:
        forms = {name: weight.to("meta") for name, weight in module.state_dict().items()}
        module.load_state_dict(forms, assign=True)
        _programs[structure] = program
        if len(_programs) > MOST_PROGRAMS:
            del _programs[next(iter(_programs))]


def _structure(served: nn.Module, example: np.ndarray) -> Structure:
    """What an export depends on: a hash, and the classes themselves, because a notebook can define
    another class of the same name.  Empty if it is unknown."""
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, served).dump((served, example))
    except (pickle.PicklingError, AttributeError, TypeError):  # such as a local function
        return ()
    return hashlib.sha256(buffer.getvalue()).digest(), *map(type, served.modules())


class _Pickler(pickle.Pickler):
    """Pickles a module without the values of its weights."""

    def __init__(self, file: io.BytesIO, module: nn.Module) -> None:
        super().__init__(file)
        self._weights = {id(weight) for weight in module.state_dict(keep_vars=True).values()}
        self._numbers: dict[int, int] = {}

    def persistent_id(self, value: Any) -> Any:
        """What stands for a tensor: its number, so that shared ones differ from equal ones, and
        its form."""
        if not isinstance(value, Tensor):
            return None
        number = self._numbers.setdefault(id(value), len(self._numbers))
        form = (type(value), value.dtype, tuple(value.shape), value.stride(), value.requires_grad)
        return (number, *form, None if id(value) in self._weights else _bytes(value))


def _program(served: nn.Module, folder: Path, module: nn.Module) -> _Program | None:
    """The program of a model that was just written and read; None if its records are not the bytes
    of its weights, one by one."""
    from mlflow.models import Model

    records = _records(folder / ARCHIVE)
    config = json.loads(records[f"{WEIGHTS}model_weights_config.json"])["config"]
    weights = {f"{WEIGHTS}{described['path_name']}": name for name, described in config.items()}
    values = served.state_dict()
    is_plain = len(weights) == len(values) and all(
        records[record] == _bytes(values[name]) != b"" for record, name in weights.items()
    )
    if not is_plain or module.state_dict().keys() != values.keys():
        return None
    described = Model.load(folder).to_dict()
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return _Program(
        module,
        {name: value for name, value in described.items() if name not in OF_ONE_MODEL},
        {
            name: path.read_bytes()
            for name, path in paths.items()
            if path.is_file() and name not in (DESCRIPTION, ARCHIVE)
        },
        _without(weights, records),
        weights,
    )


def _write(program: _Program, served: nn.Module, folder: Path, metadata: Mapping[str, Any]) -> None:
    from mlflow.models import Model

    shutil.rmtree(folder, ignore_errors=True)  # left by an attempt that died here
    (folder / ARCHIVE).parent.mkdir(parents=True)
    for name, content in program.files.items():
        (folder / name).write_bytes(content)
    values = served.state_dict()
    writer = torch._C.PyTorchFileWriter(str(folder / ARCHIVE))
    writer.set_min_version(ARCHIVE_VERSION)
    for name, content in program.records.items():
        if name in program.weights:
            content = _bytes(values[program.weights[name]])
        writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    of_this = {"model_uuid": uuid.uuid4().hex, "metadata": dict(metadata)}
    Model.from_dict({**program.description, **of_this}).save(folder / DESCRIPTION)


def _read(program: _Program, folder: Path) -> nn.Module:
    """The module with the archive's weights.  Raises UnsafeModelError if another record differs."""
    records, forms = _records(folder / ARCHIVE), program.module.state_dict()
    if _without(program.weights, records) != program.records:
        raise UnsafeModelError(f"model {folder} has not the graph that was written.")
    weights = {
        name: torch.frombuffer(bytearray(records[record]), dtype=forms[name].dtype)
        .clone()  # aligned as torch aligns tensors
        .view(forms[name].shape)
        for record, name in program.weights.items()
    }
    program.module.load_state_dict(weights, assign=True)
    return program.module


def _records(archive: Path) -> dict[str, bytes]:
    """An archive's records but those that its writer adds, in their order."""
    reader = torch._C.PyTorchFileReader(str(archive))
    names = [name for name in reader.get_all_records() if name not in WRITTEN_BY_TORCH]
    return {name: reader.get_record(name) for name in names}


def _without(weights: Collection[str], records: Mapping[str, bytes]) -> dict[str, bytes]:
    """The records, those of weights empty."""
    return {name: b"" if name in weights else content for name, content in records.items()}


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().numpy().tobytes()
