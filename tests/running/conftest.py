from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_hpo.design.plan import Plan
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.training.data import SearchSplits

OpenSession = Callable[[Plan], Session]


@pytest.fixture
def open_here(store: Store, splits: SearchSplits) -> OpenSession:
    """Opens a plan in this test's store, on synthetic images; again is another process's start."""

    def opened(plan: Plan) -> Session:
        return open_session(store, plan, device="cpu", splits=splits)

    return opened


@pytest.fixture
def files_of(store: Store) -> Callable[[], list[Path]]:
    """What lies in the store's folders for trials under way and checkpoints."""
    return lambda: sorted(
        path
        for part in ("trials", "checkpoints")
        for path in (store.root / part).rglob("*")
        if path.is_file()
    )
