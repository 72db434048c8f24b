"""Check the statistics on studies whose truth is known: `python -m fashion_hpo.calibration`."""

import argparse
import sys
from collections.abc import Sequence

from fashion_hpo.terminal import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 if a target is missed."""
    made = command_line.parser(
        "calibration",
        "Judge simulated studies by the functions that judge real ones, and hold intervals and "
        "verdicts against the truth.",
    )
    made.add_argument(
        "--studies",
        type=command_line.positive,
        default=4_000,
        metavar="N",
        help="simulated for each row; default: 4000",
    )
    made.add_argument(
        "--seed",
        type=command_line.from_zero,
        default=0,
        metavar="N",
        help="of the draws; default: 0",
    )
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.analysis.calibration.table import HEADER, check

    print(HEADER, flush=True)
    missed = 0
    for row in check(args.studies, args.seed):
        print(row.line, flush=True)
        missed += not row.met
    print(f"{missed} targets missed." if missed else "All targets are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
