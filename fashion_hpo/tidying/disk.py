"""How much disk a store takes, by study."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from fashion_hpo.stores.layout import Store
from fashion_hpo.tidying.deletion import bytes_in

KINDS = ("models", "runs", "logits", "checkpoints", "reports", "others")
FOLDERS = {"logits": "logits", "checkpoints": "checkpoints", "backbones": "checkpoints"}
"""The kind of each folder that has a folder for each ledger, by its uid."""
STORE, LOST = "(store)", "(no ledger)"  # in place of a study's name


def usage(store: Store, studies: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Bytes by study and kind; `studies`: names by the uids of their ledgers.

    Models and runs on a server do not count.  What belongs to no study is under STORE (databases,
    lost+found and the like), and what is of an unknown ledger under LOST.
    """
    used: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(KINDS, 0))
    for study, kind, path in _places(store, studies):
        used[study][kind] += bytes_in(path)
    return {study: used[study] for study in sorted(used) if any(used[study].values())}


def _places(store: Store, studies: Mapping[str, str]) -> Iterator[tuple[str, str, Path]]:
    """Every file or folder of a store with its study and kind, each byte once."""
    for path in store.root.glob("*"):
        if path == store.artifacts:
            for study in path.iterdir():
                for inner in [study] if study.is_file() else study.iterdir():
                    yield study.name, "models" if inner.name == "models" else "runs", inner
        elif path.name in FOLDERS:
            for folder in path.iterdir():
                yield studies.get(folder.name, LOST), FOLDERS[path.name], folder
        elif path.name == "reports":
            for folder in path.iterdir():
                yield folder.name, "reports", folder
        elif path.name == "trials":
            for folder in path.iterdir():
                yield studies.get(folder.name.rpartition("-")[0], LOST), "others", folder
        else:
            yield STORE, "others", path
