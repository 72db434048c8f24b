"""Train a logged trial again, and say whether it is the same: `python -m fashion_hpo.replay ID`."""

import argparse
import sys
from collections.abc import Sequence

from fashion_hpo.terminal import command_line

SAME, DIFFERENT = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if all is equal to the bit, 1 if something differs, 2 if there is no such run."""
    made = command_line.parser(
        "replay",
        "Train a trial again from its logged config and compare every epoch, the weights and the "
        "validation logits; nothing is stored.",
    )
    made.add_argument("run_id", help="of the trial's run in MLflow")
    command_line.add_store(made)
    command_line.add_data(made)
    made.set_defaults(device=None)  # the trial's own
    made.add_argument(
        "--epochs",
        type=command_line.positive,
        metavar="N",
        help="compare the first N epochs alone",
    )
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.replaying import replay
    from fashion_hpo.replaying.changes import changed
    from fashion_hpo.stores.reading import store_to_load_from
    from fashion_hpo.training.data import load_or_download

    logged = replay.find(store_to_load_from(args.store, args.storage), args.run_id)
    hardware = replay.hardware_of(logged, args.device)
    splits = load_or_download(args.data)
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
            found: list[str] = ended.value
            break
        trained = epoch.epoch
        print(f"epoch {trained}: validation accuracy {epoch.val_accuracy:.2%}", flush=True)
    whole = trained == len(logged.result.history)
    what = "every metric, the weights and the validation logits" if whole else "every metric"
    if not found:
        print(f"equal to the bit: {what} of {trained} epoch(s).")
    else:
        print("different: " + "; ".join(found) + ".")
    changes = changed(logged, splits.data_hash, hardware)
    print("changed since: " + ("; ".join(changes) or "nothing that is logged") + ".")
    return DIFFERENT if found else SAME


if __name__ == "__main__":
    sys.exit(main())
