"""Check intervals and verdicts on simulated studies: `python -m fashion_hpo.calibration`."""

import argparse
import sys
from collections.abc import Sequence

from fashion_hpo.terminal import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 if a target is missed."""
    parser = command_line.parser(
        "calibration",
        "Simulate studies, analyse them by the functions for real studies, and compare intervals "
        "and verdicts with the truth.",
    )
    parser.add_argument(
        "--studies",
        type=command_line.positive,
        default=4_000,
        metavar="N",
        help="simulated studies per row; default: 4000",
    )
    parser.add_argument(
        "--seed",
        type=command_line.from_zero,
        default=0,
        metavar="N",
        help="seed of the simulation; default: 0",
    )
    return command_line.run(_run, parser, argv)


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
