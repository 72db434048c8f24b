"""Serve the champion over HTTP, on loopback: `python -m fashion_hpo.serve`."""

import argparse
import sys
from collections.abc import Sequence

from fashion_hpo.design.ports import HOST
from fashion_hpo.terminal import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 when stopped; 2 if the port is in use or there is no champion; 1 if the champion's
    files have changed since they were registered."""
    parser = command_line.parser("serve", "Serve the champion over HTTP, for this machine alone.")
    command_line.add_store(parser)
    command_line.add_champion_of(parser)
    command_line.add_port(parser, 5001)
    parser.add_argument(
        "--model",
        type=command_line.folder,
        metavar="DIR",
        help="serve the model that `register --export DIR` wrote, without a store",
    )
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    command_line.check_port(args.port)

    from fashion_hpo.serving import server
    from fashion_hpo.serving.classifier import champion
    from fashion_hpo.serving.exported import exported

    classifier = exported(args.model) if args.model else champion(args.store, args.data_name)
    print(
        f"{classifier.name} version {classifier.version} on http://{HOST}:{args.port}  "
        "(Ctrl-C stops it)",
        flush=True,
    )
    server.serve(classifier, HOST, args.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
