"""Read all pages of a search by MLflow's client."""

from collections.abc import Callable, Iterator
from typing import Any

from mlflow.store.entities.paged_list import PagedList


def pages(search: Callable[..., PagedList[Any]], *args: Any, **options: Any) -> Iterator[Any]:
    """All results of a search by MLflow's client."""
    token = None
    while token != "":
        page = search(*args, **options, page_token=token)
        yield from page
        token = page.token or ""
