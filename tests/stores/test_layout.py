from pathlib import Path

import pytest

from fashion_hpo.stores.layout import (
    Store,
    StoreError,
    passwords_in,
    tags_without_passwords,
    without_password,
)


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


def test_removing_logits_also_removes_the_half_written_file(tmp_path: Path) -> None:
    """Another trial's files stay."""
    store = Store.at(tmp_path)
    for uid in ("abc-00001", "abc-00002"):
        store.keep_logits(uid, b"logits")
        store.logits(uid).with_name(f".{uid}.npz.4711").write_bytes(b"log")
    store.remove_logits("abc-00001")
    names = {path.name for path in (tmp_path / "logits" / "abc").iterdir()}
    assert names == {"abc-00002.npz", ".abc-00002.npz.4711"}


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


URLS = [
    ("postgresql://me:pass@host/db", "postgresql://me:***@host/db", {"pass"}),
    ("postgresql://me:p%40ss@h:1/d", "postgresql://me:***@h:1/d", {"p%40ss", "p@ss"}),
    ("postgresql://me:a@b:c/d?e#f@host/db", "postgresql://me:***@host/db", {"a@b:c/d?e#f"}),
    ("mysql+pymysql://me:@host/db", "mysql+pymysql://me:***@host/db", set()),
    ("redis://:pass@host", "redis://:***@host", {"pass"}),
    ("postgresql://me@host/db", "postgresql://me@host/db", set()),
    ("mysql://host/db?user=me&password=se%20c&ssl=1", "mysql://host/db?user=me&password=***&ssl=1",
     {"se%20c", "se c"}),
    ("postgresql:///db?sslPassword=s#1", "postgresql:///db?sslPassword=***", {"s#1"}),
    ("http://host:5000", "http://host:5000", set()),
    ("http://me:pass@host:5000/a", "http://***@host:5000/a", {"pass"}),
    ("https://token@github.com/a/b.git", "https://***@github.com/a/b.git", {"token"}),
    ("https://token:x@github.com/a.git", "https://***@github.com/a.git", {"x"}),
    ("https://host/a?access_token=abc&x=1", "https://host/a?access_token=***&x=1", {"abc"}),
    ("https://host/@me/a", "https://host/@me/a", set()),
    ("git@github.com:a/b.git", "git@github.com:a/b.git", set()),
    ("ssh://git@github.com/a/b.git", "ssh://git@github.com/a/b.git", set()),
    ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db", set()),
    ("sqlite:////tmp/me@work:1/a@b.db", "sqlite:////tmp/me@work:1/a@b.db", set()),
]  # fmt: skip


@pytest.mark.parametrize(("url", "shown", "passwords"), URLS)
def test_passwords_are_hidden(url: str, shown: str, passwords: set[str]) -> None:
    assert without_password(url) == shown
    assert passwords_in(url) == passwords
    assert without_password(shown) == shown
    assert without_password(f"cannot open {url} of me@work") == f"cannot open {shown} of me@work"


def test_all_passwords_of_a_text_are_hidden() -> None:
    text = "mysql://a:one@b and\nhttp://c:two@d/e, password=three host=f"
    assert without_password(text) == "mysql://a:***@b and\nhttp://***@d/e, password=*** host=f"


def test_tags_are_stored_without_passwords() -> None:
    tags = {"mlflow.source.git.repoURL": "https://me:pass@github.com/a.git", "point": "a1"}
    assert tags_without_passwords(tags) == {
        "mlflow.source.git.repoURL": "https://***@github.com/a.git",
        "point": "a1",
    }
