"""Addresses of files: for SQLAlchemy, which reads a URL, and for MLflow, which unquotes paths."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL


def sqlite_url(database: Path) -> str:
    """SQLAlchemy's URL of a database file, whatever its folders are called.

    With characters that must be quoted it names the driver as well: of a URL that begins with
    sqlite:/// MLflow makes the folder without unquoting its name.
    """
    plain = URL.create("sqlite", database=str(database))
    if unquote(str(plain)) == str(plain):
        return str(plain)
    return str(plain.set(drivername="sqlite+pysqlite"))


def artifact_location(folder: Path) -> str:
    """An address that MLflow reads back as this folder: a plain path wherever that will do.

    MLflow takes percent signs of a plain path for quoted characters, and ? and # for the ends of a
    path.
    """
    return folder.as_uri() if re.search(r"[%?#\\\x00-\x1f]", str(folder)) else str(folder)


def artifact_folder(location: str) -> Path | None:
    """The local folder of an address of MLflow's; None if it is on a server."""
    if location.startswith("/"):
        return Path(unquote(location))
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
