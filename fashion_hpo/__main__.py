"""`fashion-hpo COMMAND ...` is `python -m fashion_hpo.COMMAND ...`."""

import importlib
import sys
from collections.abc import Sequence

from fashion_hpo.design.sentences import did_you_mean, quoted
from fashion_hpo.terminal.folding import say, say_table
from fashion_hpo.terminal.output import guarded

COMMANDS = {
    "study": "run a study, or go on with it",
    "status": "how far a study is",
    "report": "rebuild a study's report page",
    "claims": "the reports' claims and their verdicts",
    "register": "test and register a study's best model",
    "replay": "train a logged trial again and compare it to the bit",
    "predict": "classify an image with the champion",
    "serve": "serve the champion over HTTP, for this machine alone",
    "train": "train one config, without a study",
    "augment": "draw what each augmentation does to training images",
    "doctor": "check, and mend, all that the store holds",
    "ui": "open the MLflow UI on the store",
    "calibration": "check intervals and verdicts on simulated studies",
    "bench": "measure the trainer's speed and the logging's cost",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hand over to a command; returns its exit code, or 2 for one that is not there."""
    given = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _hand_over(given))


def _hand_over(given: Sequence[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        print("usage: fashion-hpo COMMAND ...")
        say_table(COMMANDS, margin=2)
        return 0
    if given[0] not in COMMANDS:
        every = f"choose one of {', '.join(COMMANDS)}."
        hint = did_you_mean(given[0], COMMANDS) or every
        say(f"error: command is {quoted(given[0], 40)}; {hint}", stream=sys.stderr)
        return 2
    command = importlib.import_module(f"fashion_hpo.{given[0]}")
    code: int = command.main(given[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
