from pathlib import Path

import pytest

from fashion_hpo.stores.layout import Store, StoreError, without_password


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlruns"
    path.write_text("mine")
    with pytest.raises(StoreError, match=r"store .*mlruns is a file; name a folder"):
        Store.at(path)
    with pytest.raises(StoreError, match=r"cannot be made|is a file"):
        Store.at(path / "below")
    assert path.read_text() == "mine"


def test_looking_at_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "misspelt" / "mlruns")
    assert not store.has_ledgers
    assert list(tmp_path.iterdir()) == []
    with store.lock("claim"):
        assert store.root.is_dir()


def test_both_databases_lie_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("FASHION_HPO_STORAGE", raising=False)
    store = Store.at(tmp_path)
    assert store.ledger_url == f"sqlite:///{tmp_path}/optuna.db"
    assert store.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"


def test_other_databases_are_one_address_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("FASHION_HPO_STORAGE", "postgresql://a")
    assert Store.at(tmp_path).tracking_uri == "http://127.0.0.1:5000"
    assert Store.at(tmp_path).ledger_url == "postgresql://a"
    assert Store.at(tmp_path, "sqlite:///b").ledger_url == "sqlite:///b"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pass@host/db", "postgresql://me:***@host/db"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert without_password(url) == shown
