"""Write a registered version as a folder that other programs can use.

The folder has the model as ONNX and as MLflow's folder, the config that trained it, its classes and
preprocessing, and a Dockerfile that serves it.
"""

import io
import json
import os
import shlex
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mlflow.entities.model_registry import ModelVersion
from torch import Tensor, nn

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.data_set import DataInfo
from fashion_hpo.running.outcome import AlteredModelError
from fashion_hpo.stores import models, registry
from fashion_hpo.stores.models import EXPORT_DESCRIPTION, EXPORT_MODEL
from fashion_hpo.training import packaging
from fashion_hpo.training.architectures import build_for, without_backbone

EXTRA = "`python -m pip install onnx onnxruntime`"
OPSET = 18
TOLERANCE = 1e-4
"""The largest allowed difference of a probability between the ONNX model and the torch module."""
PREPROCESSING = (
    "inside the model: give raw pixels, 0 to 255, of an upright image of 28x28 pixels, "
    "bright on black"
)
DOCKERFILE = """\
# Serves {name} version {version}.  In the folder of fashion_hpo's code (of pyproject.toml):
#   docker build -t {name} -f {folder}/Dockerfile .
#   docker run --network host -v {folder}:/model:ro {name}
# It answers on http://127.0.0.1:5001 of this machine, as `python -m fashion_hpo.serve` does.
FROM python:3.11-slim
COPY . /code
RUN pip install --no-cache-dir -r /code/requirements.lock
RUN pip install --no-cache-dir --no-deps /code
CMD ["python", "-m", "fashion_hpo.serve", "--model", "/model", "--port", "5001"]
"""


@dataclass(frozen=True)
class Exported:
    """What was written, and the largest difference of a probability over the images."""

    folder: Path
    version: ModelVersion
    difference: float
    images: int


def check_target(target: Path) -> None:
    """Raise ValueError unless a folder can be exported here; call this before any work."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise ValueError(
                f"--export needs the extra [onnx], of which {package} is not installed; type "
                f"{EXTRA} first."
            )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"--export is {target}, which is not empty; name a new folder.")


def export(
    tracking_uri: str, address: str, info: DataInfo, images: Tensor, target: Path
) -> Exported:
    """Export the version at models:/NAME/VERSION or models:/NAME@ALIAS to a new folder.

    images: of the validation split, on which the outputs of both models must be equal.  Raises
    UnsafeModelError if the version's files were changed, ValueError if the network cannot be
    written as ONNX, and AlteredModelError if the outputs differ.
    """
    check_target(target)
    version, folder = registry.version_verified(tracking_uri, address)
    model, described = models.read_model(folder), models.metadata_of(folder)
    config = TrainConfig.from_dict(described["config"])
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        new = Path(temporary) / "export"
        shutil.copytree(folder, new / EXPORT_MODEL)
        onnx = _as_onnx(model, config, info)
        difference = _largest_difference(onnx, model, images)
        (new / "model.onnx").write_bytes(onnx)
        (new / "config.json").write_text(json.dumps(config.to_dict(), indent=2), encoding="utf-8")
        about = _description(version, described, info) | {
            "onnx": {
                "file": "model.onnx", "opset": OPSET, "input": "images", "output": "probabilities",
                "tolerance": TOLERANCE, "largest_difference": difference,
                "compared_on": f"{len(images)} validation images",
            },
        }  # fmt: skip
        (new / EXPORT_DESCRIPTION).write_text(json.dumps(about, indent=2), encoding="utf-8")
        names = {"name": version.name, "version": version.version}
        place = shlex.quote(str(target))
        (new / "Dockerfile").write_text(DOCKERFILE.format(folder=place, **names), encoding="utf-8")
        new.chmod(0o755)
        if target.exists():
            target.rmdir()  # empty
        os.replace(new, target)
    return Exported(target, version, difference, len(images))


def _description(
    version: ModelVersion, described: Mapping[str, Any], info: DataInfo
) -> dict[str, Any]:
    manifest = registry.manifest_of(version)
    assert manifest is not None  # it was verified
    shape = ", ".join(map(str, ("N", *info.image_shape)))
    return {
        "name": version.name,
        "version": str(version.version),
        "classes": list(info.classes),
        "channels": info.channels,
        "data_set": info.name,
        "input": f"uint8 ({shape})",
        "output": f"float32 (N, {len(info.classes)}), probabilities in the order of the classes",
        "preprocessing": PREPROCESSING,
        "tags": {
            name: version.tags[name] for name in sorted(version.tags) if name != registry.MANIFEST
        },
        "files": manifest,
    }


def _as_onnx(model: nn.Module, config: TrainConfig, info: DataInfo) -> bytes:
    """The served model as ONNX, for any number of images.

    The network is built again for the weights: a trace of the loaded model would fix the number of
    images.  torch's TorchScript exporter needs fewer packages than its successor.
    """
    network = build_for(without_backbone(config), info=info)
    served = packaging.served(network, config.pixel_range, channels_last=False)  # as in ONNX
    served.load_state_dict(model.state_dict())
    example = torch.zeros(2, *info.image_shape, dtype=torch.uint8)
    file = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # that this exporter is deprecated, and of tracing
            torch.onnx.export(
                served,
                (example,),
                file,  # type: ignore[arg-type]  # its types leave out what it documents
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_axes={"images": {0: "N"}, "probabilities": {0: "N"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, TypeError) as error:  # OnnxExporterError is a RuntimeError
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"the network {config.architecture} cannot be written as ONNX ({reason}); use its "
            "MLflow model instead."
        ) from None
    return file.getvalue()


def _largest_difference(onnx: bytes, model: nn.Module, images: Tensor) -> float:
    """The largest difference of a probability; raises AlteredModelError if it is too large."""
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in (images[:1], images[:7], *images.split(500)):
        (outputs,) = session.run(None, {"images": batch.numpy()})
        expected = packaging.probabilities_of(model, batch)
        largest = max(largest, float(np.abs(outputs - expected).max()))
    if not largest <= TOLERANCE:
        raise AlteredModelError(
            f"the ONNX model's probabilities differ from the registered model's by up to "
            f"{largest:.2g}, where {TOLERANCE:g} is allowed, so nothing was exported"
        )
    return largest
