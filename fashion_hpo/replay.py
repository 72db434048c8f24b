"""Train a logged trial again and compare the results: `python -m fashion_hpo.replay ID`."""

import argparse
import sys
from collections.abc import Sequence

from fashion_hpo.terminal import command_line

SAME, DIFFERENT = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if everything is equal bit for bit, 1 if anything differs, 2 for an unknown run."""
    parser = command_line.parser(
        "replay",
        "Train a trial again from its logged config and compare every epoch, the weights and the "
        "validation logits; nothing is written to the store.",
    )
    parser.add_argument(
        "trial",
        metavar="TRIAL",
        help="STUDY/BUDGET/REVISION:NUMBER, the trial's uid, or the id of its run in MLflow",
    )
    command_line.add_store(parser)
    command_line.add_data(parser)
    command_line.add_own_data(parser)
    parser.set_defaults(device=None)  # the trial's device
    parser.add_argument(
        "--epochs",
        type=command_line.positive,
        metavar="N",
        help="compare the first N epochs only",
    )
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.replaying import replay
    from fashion_hpo.replaying.changes import changed
    from fashion_hpo.stores.reading import store_to_load_from
    from fashion_hpo.training.data import load_or_download

    logged = replay.find(store_to_load_from(args.store, args.storage), args.trial)
    hardware = replay.hardware_of(logged, args.device)
    splits = load_or_download(command_line.data_of(args, logged.ledger.info.files))
    print(
        f"trial {logged.entry.attempt.number} of {logged.ledger.name}: "
        f"{logged.entry.attempt.config.architecture} on {hardware.describe()['device_name']}, "
        f"{hardware.precision}, {hardware.threads} thread(s)"
    )
    training, trained = replay.replay(logged, splits, hardware, args.epochs), 0
    while True:
        try:
            epoch = next(training)
        except StopIteration as ended:
            differences: list[str] = ended.value
            break
        trained = epoch.epoch
        print(f"epoch {trained}: validation accuracy {epoch.val_accuracy:.2%}", flush=True)
    whole = trained == len(logged.result.history)
    weights = "" if logged.entry.given_up else ", the weights"  # gc removed the model
    compared = f"every metric{weights} and the validation logits" if whole else "every metric"
    if not differences:
        print(f"equal to the bit: {compared} of {trained} epoch(s).")
    else:
        print("different: " + "; ".join(differences) + ".")
    changes = changed(logged, splits.data_hash, hardware)
    print("changed since: " + ("; ".join(changes) or "nothing that is logged") + ".")
    return DIFFERENT if differences else SAME


if __name__ == "__main__":
    sys.exit(main())
