"""Studies in stores whose names mean something in an address, killed and continued."""

import shutil
from pathlib import Path

import pytest

from fashion_hpo.stores.layout import Store
from tests.faults.child import Moment
from tests.faults.lab import Lab
from tests.plans import design
from tests.stores.test_addresses import NAMES

PLAN = design(seeds=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_goes_on_and_leaves_no_file_elsewhere(lab: Lab, tmp_path: Path, name: str) -> None:
    store = Store.at(Path(shutil.move(lab.store().root, tmp_path / name)))
    assert lab.killed(store, PLAN, Moment("epoch reported"), "address")
    lab.check(store, PLAN)
    assert [path.name for path in tmp_path.iterdir()] == [name]
