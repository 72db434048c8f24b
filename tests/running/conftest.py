from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_hpo.stores.layout import Store


@pytest.fixture
def files_of(store: Store) -> Callable[[], list[Path]]:
    """What lies in the store's folders for trials under way and checkpoints."""
    return lambda: sorted(
        path
        for part in ("trials", "checkpoints")
        for path in (store.root / part).rglob("*")
        if path.is_file()
    )
