"""Data sets: `DataSet` says where one's own images are, `DataInfo` what a data set holds.

Imports the standard library only.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fashion_hpo.design.classes import CLASSES
from fashion_hpo.design.config import TRAIN_IMAGES
from fashion_hpo.design.sentences import quoted

FASHION_NAME = "fashion-mnist"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class DataSet:
    """A data set of one's own: a folder with a folder of pictures for each class, a folder of idx
    files, an .npz file (`images`, `labels`) or a CSV file.

    `name` names the registered model; default: the name of the file or folder.  `skip_bad` leaves
    out files that are no images and images that have two labels, which are refused otherwise.
    """

    path: str
    name: str = ""
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | Path) or not str(self.path):
            raise ValueError(f"data path is {self.path!r}; name a file or folder.")
        path = Path(self.path).expanduser()
        object.__setattr__(self, "path", str(path))
        if not self.name:
            stem = path.absolute().stem.lower()
            object.__setattr__(self, "name", re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_"))
        if not NAME.fullmatch(self.name) or self.name == FASHION_NAME:
            raise ValueError(
                f"data set name is {quoted(self.name, 40)}; allowed are up to 40 of a-z, 0-9, _ "
                f"and -, a letter or digit first, but not {FASHION_NAME}; set it with --data-name."
            )

    @property
    def registered_name(self) -> str:
        """The name of its model in MLflow's registry."""
        return registered_name(self.name)

    def absolute(self) -> "DataSet":
        """The same, independent of the working directory."""
        return DataSet(str(Path(self.path).absolute()), self.name, self.skip_bad)


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """What a data set holds: its name, class names in the order of the labels, channels (1: grey,
    3: colour), and the number of images of each split."""

    name: str
    classes: tuple[str, ...]
    channels: int
    train: int
    val: int
    gate: int
    test: int
    files: DataSet | None = None  # None: Fashion-MNIST's, which are looked for

    @property
    def is_default(self) -> bool:
        """Whether it is Fashion-MNIST."""
        return self.files is None

    @property
    def registered_name(self) -> str:
        """The name of its model in MLflow's registry."""
        return registered_name(self.name)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one raw image."""
        return (28, 28) if self.channels == 1 else (self.channels, 28, 28)

    def of_model(self) -> dict[str, Any]:
        """What a model's metadata say of the data set."""
        classes = {"classes": list(self.classes)}
        return (
            classes
            if self.is_default
            else {
                **classes,
                "data_set": self.name,
                "channels": self.channels,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> "DataInfo":
        """The data set of a ledger's attribute; without one, Fashion-MNIST."""
        if values is None:
            return FASHION_MNIST
        files = DataSet(**values["files"])
        return cls(**{**values, "classes": tuple(values["classes"]), "files": files})


def registered_name(data_set: str) -> str:
    """The name of a data set's registered model."""
    return f"{data_set}-classifier"


FASHION_MNIST = DataInfo(
    name=FASHION_NAME,
    classes=CLASSES,
    channels=1,
    train=TRAIN_IMAGES,
    val=5_000,
    gate=5_000,
    test=10_000,
)
