"""Models as MLflow files (pt2, no pickle) and the registry."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import nn

SIGNATURE = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, 28, 28))]),
    outputs=Schema([TensorSpec(np.dtype("float32"), (-1, 10))]),
)
REQUIREMENTS = [f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"]


def write_model(
    served: nn.Module, folder: Path, example: np.ndarray, metadata: Mapping[str, Any]
) -> None:
    """Write an MLflow model folder.  `example`: raw images uint8 (2, 28, 28); with one image, the
    export would fix the batch size at one."""
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that died here
    mlflow.pytorch.save_model(
        served,
        str(folder),
        signature=SIGNATURE,
        input_example=example,
        pip_requirements=REQUIREMENTS,  # inferring them takes 11 s
        metadata=dict(metadata),
        serialization_format="pt2",
    )


def read_model(uri: str) -> nn.Module:
    """Load a model folder or a models:/ address; pickle is refused."""
    model: nn.Module = mlflow.pytorch.load_model(uri)
    return model


def file_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file, by its path in the folder; locks and temporary files left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
