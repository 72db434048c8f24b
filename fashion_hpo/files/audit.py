"""Announce each durable write, so that the fault tests can kill the process right after."""

import sys

EVENT = "fashion_hpo.write"


def wrote(what: str) -> None:
    """Raise the audit event `fashion_hpo.write`; `what` names the write that was just done."""
    sys.audit(EVENT, what)
