"""Images for pages come from the data that the trials were measured on, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from fashion_hpo.running.pictures import splits_at_hand
from fashion_hpo.training.data import SearchSplits


def test_the_images_are_those_of_the_split(real_splits: SearchSplits) -> None:
    found, why = splits_at_hand(None, real_splits.data_hash)
    assert found is not None
    np.testing.assert_array_equal(found.val.images.numpy(), real_splits.val.images.numpy())
    assert why == ""
    assert splits_at_hand(None, "another")[0] is None


def test_absent_data_are_a_reason_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASHION_HPO_DATA", raising=False)
    found, why = splits_at_hand(tmp_path, "any")
    assert found is None
    assert str(tmp_path) in why
    assert not why.endswith(".")
