"""Test and register a study's best model: `python -m fashion_hpo.register dropout_ablation`."""

import argparse
import sys
from collections.abc import Sequence

from fashion_hpo.reporting import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; 1 if the model is not the one that was measured; 2 where there is none."""
    made = command_line.parser(
        "register", "Open the test set for a study's best model, and register it as champion."
    )
    made.add_argument("name", help="a file of studies/, without .py")
    command_line.add_budget(made, None, "default: the largest complete one")
    command_line.add_store(made)
    made.add_argument("--data", metavar="DIR", help="folder of the data files")
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from fashion_hpo.analysis import records
    from fashion_hpo.reporting.model_card import model_card
    from fashion_hpo.running import registration
    from fashion_hpo.stores import registry
    from fashion_hpo.stores.layout import Store, without_password
    from fashion_hpo.stores.tracking import Tracker
    from fashion_hpo.training import final_images
    from fashion_hpo.training.data import load_or_download

    store = Store.at(args.store, args.storage)
    data = Path(args.data) if args.data else None
    ledger = records.find_ledger(store, args.name, args.budget)
    tracker = Tracker(store, args.name)
    chosen = registration.candidate(ledger, tracker)
    model = registration.load_proven(chosen, tracker, load_or_download(data))
    known = registry.find_version(tracker, chosen.attempt.uid)
    if known is not None:
        registration.crown(chosen, tracker, known, model)
        print(f"version {known.version} is this trial already, and champion; nothing was opened.")
        return 0
    opened = final_images.open_test(store.openings_log, f"register {ledger.name}", data)
    tested = registration.score(model, opened.images)
    val = chosen.result.summaries["model_val_accuracy"]
    metrics = {"test_accuracy": tested.accuracy, "test_loss": tested.loss}
    tracker.log_summaries(
        chosen.run_id,
        metrics,
        int(chosen.result.summaries["kept_epoch"]),
        chosen.result.history[-1]["timestamp"],
    )
    tags = {
        "study": args.name,
        "budget": ledger.plan.budget,
        "test_openings_before": str(opened.openings_before),
        "data_hash": ledger.data_hash,
    }
    card = model_card(ledger, chosen, tested, opened.openings_before)
    version = registration.register(chosen, tracker, model, tags, card)
    print(
        f"{registry.REGISTERED_NAME} version {version} is champion: trial {chosen.attempt.number} "
        f"of {ledger.name}, {chosen.attempt.config.architecture}"
    )
    print(
        f"validation accuracy {val:.2%}; test accuracy {tested.accuracy:.2%} "
        f"± {1.96 * tested.error:.2%} (95 %, 10,000 images), "
        f"the test set's opening number {opened.openings_before + 1} here"
    )
    print(
        f'load it: mlflow.pytorch.load_model("{registry.CHAMPION_URI}"), with '
        f'mlflow.set_tracking_uri("{without_password(store.tracking_uri)}")'
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
