"""Write a file as a whole."""

import os
from pathlib import Path

from fashion_hpo.files.audit import wrote


def write_atomically(path: Path, content: bytes) -> None:
    """Temporary file, fsync, rename: the file is whole or absent, whenever the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content[: len(content) // 2])
            wrote(f"half of {path.suffix} file written")
            file.write(content[len(content) // 2 :])
            file.flush()
            os.fsync(file.fileno())
        wrote(f"{path.suffix} file not yet renamed")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # after a failed write, such as on a full disk
    wrote(f"{path.suffix} file written")
