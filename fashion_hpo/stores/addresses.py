"""Check and build addresses of databases, tracking servers and artifact folders.

An error quotes only the scheme: in a malformed address the password may stand anywhere.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from fashion_hpo.design.ports import HOST, UI_PORT

LEDGERS = ("sqlite", "postgresql", "mysql", "mariadb")  # Optuna is tested with these
TRACKING = ("sqlite", "postgresql", "mysql", "mssql")  # MLflow supports these
STORAGE = "storage (--storage or FASHION_HPO_STORAGE)"
TRACKING_URI = "tracking address (MLFLOW_TRACKING_URI)"
ALLOWED = "sqlite:///FILE and postgresql://USER@HOST/DATABASE"
ENCODE = (
    "percent-encode the characters @ : / ? # and spaces in user name and password (@ is %40), "
    "and let a port be a number."
)
_SERVER = re.compile(
    r"https?://([^\s@:/?#]+(:[^\s@:/?#]*)?@)?([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?(/[^\s@?#]*)?",
    re.IGNORECASE,
)


class AddressError(ValueError):
    """An address of a database or server cannot be used."""


def is_server(address: str) -> bool:
    """Whether tracking is reached over the network by MLflow's own protocol."""
    return _scheme(address).lower() in ("http", "https")


def ui_address(address: str) -> str:
    """Where MLflow's pages are: at a tracking server's own address, without a login, else where
    our `ui` listens unless it is told another port."""
    if not is_server(address):
        return f"http://{HOST}:{UI_PORT}"
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].rstrip('/')}"


def checked_storage(address: str) -> str:
    """The address of Optuna's database, percent-encoded; raises AddressError."""
    return _checked(STORAGE, address, LEDGERS, ALLOWED)


def checked_tracking(address: str) -> str:
    """The address of a tracking server or of MLflow's database; raises AddressError."""
    if not is_server(address):
        allowed = f"http://SERVER, {ALLOWED}; unset it to track in the store's own mlflow.db"
        return _checked(TRACKING_URI, address, TRACKING, allowed)
    if not _SERVER.fullmatch(address):
        form = "http://HOST:PORT/PATH, with USER:PASSWORD@ before HOST if the server needs a login"
        raise AddressError(f"{TRACKING_URI} is not {form}; {ENCODE}")
    return address


def _checked(what: str, address: str, kinds: Sequence[str], allowed: str) -> str:
    scheme = _scheme(address)
    if scheme.partition("+")[0] not in kinds:
        given = f"has the scheme {scheme}" if scheme else "does not begin with a scheme"
        raise AddressError(f"{what} {given}; allowed are {allowed}.")
    try:
        url = make_url(address)
        is_clear = _is_clear(address, url)
        url.get_dialect().import_dbapi()
    except ImportError as error:
        raise AddressError(
            f"{what} needs the Python package {error.name}, which is not installed; install it, or "
            "name an installed driver, as in mysql+pymysql://."
        ) from None
    except NoSuchModuleError:
        raise AddressError(
            f"{what} has the scheme {scheme}, a driver that SQLAlchemy does not know; allowed are "
            f"{allowed}."
        ) from None
    except (ValueError, ArgumentError):
        is_clear = False
    if scheme.startswith("sqlite") and is_clear:
        return _checked_file(what, url)
    if not is_clear:
        raise AddressError(f"{what} cannot be read as an address; {ENCODE}")
    return url.render_as_string(hide_password=False).replace(" ", "%20")


def _is_clear(address: str, url: URL) -> bool:
    """Whether it is certain which part of the address is the password."""
    if url.get_backend_name() == "sqlite":
        return True
    if url.username is None:
        return "@" not in address.partition("?")[0]
    return address.count("@") == 1 and "@" in address.partition("?")[0]


def _checked_file(what: str, url: URL) -> str:
    """The URL of a sqlite file, whose folder must exist."""
    if url.host or url.query or (url.database or "").startswith("file:"):
        raise AddressError(f"{what} is not a path; write sqlite:///FILE or sqlite:////FOLDER/FILE.")
    if url.database in (None, "", ":memory:"):
        raise AddressError(
            f"{what} names a database in memory, which ends with the command; write sqlite:///FILE."
        )
    path = Path(str(url.database))
    if path.is_dir():
        raise AddressError(f"{what} names the folder {path}; name a file, which will be created.")
    if not path.parent.is_dir():
        raise AddressError(
            f"{what} names a file in {path.parent}, which does not exist; create that folder first."
        )
    return sqlite_url(path)


def _scheme(address: str) -> str:
    match = re.match(r"([a-zA-Z][\w+.-]{0,30})://", address)
    return "" if match is None else match[1]


def sqlite_url(database: Path) -> str:
    """SQLAlchemy's URL of a database file, whose path may have any characters.

    A path with quoted characters gets the driver's name too: for a URL that begins with sqlite:///
    MLflow creates the folder under its quoted name.
    """
    plain = URL.create("sqlite", database=str(database))
    if unquote(str(plain)) == str(plain):
        return str(plain)
    return str(plain.set(drivername="sqlite+pysqlite"))


def artifact_location(folder: Path) -> str:
    """The address that MLflow resolves to this folder: a plain path if possible.

    In a plain path MLflow reads a percent sign as a quoted character, and ? or # as the path's end.
    """
    return folder.as_uri() if re.search(r"[%?#\\\x00-\x1f]", str(folder)) else str(folder)


def artifact_folder(location: str) -> Path | None:
    """The local folder of an MLflow artifact address; None if the artifacts are on a server."""
    if location.startswith("/"):
        return Path(unquote(location))
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
