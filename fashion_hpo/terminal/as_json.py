"""`--json`: one JSON value on standard output, and all sentences on standard error."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON; all sentences go to standard error"
    )


@contextmanager
def answering(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """With --json, print what is put into this dict; sentences printed meanwhile go to stderr."""
    answer: dict[str, Any] = {}
    if not args.json:
        yield answer
        return
    with redirect_stdout(sys.stderr):
        yield answer
    print(json.dumps(answer, indent=2))
