"""Test and register a study's winner: `python -m fashion_hpo.register dropout_ablation`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.as_json import add_json, answering
from fashion_hpo.terminal.saying import say

if TYPE_CHECKING:  # imported where they are used: --help waits for nothing slow
    from mlflow.entities.model_registry import ModelVersion
    from torch import nn

    from fashion_hpo.registering.final_results import Tested
    from fashion_hpo.registering.registration import Candidate
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.tracking import Tracker
    from fashion_hpo.training.data import SearchSplits

FIRST = "there was none, so nothing was compared"  # in the tags of registered versions


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; 1 if the model is worse than the champion or differs from the measured model; 2 if
    the study has no winner."""
    parser = command_line.parser(
        "register",
        "Measure a study's winner on the test set and make it champion, unless the gate images "
        "show that the present champion is better.",
    )
    parser.add_argument("name", nargs="?", help="a file of studies/, without .py")
    command_line.add_budget(parser, None, "default: the largest complete one")
    command_line.add_store(parser)
    command_line.add_data(parser)
    command_line.add_own_data(parser)
    parser.add_argument(
        "--retrain",
        action="store_true",
        help="train the winner's config again, on training and validation images, and register it",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="make it champion even if it is worse; the model card says so",
    )
    parser.add_argument(
        "--rollback", action="store_true", help="make the previous champion champion again"
    )
    parser.add_argument(
        "--export",
        type=command_line.folder,
        metavar="DIR",
        help="write the champion to a new folder: as ONNX (extra [onnx]), with its config, its "
        "classes and a Dockerfile that serves it; without a study, the present champion",
    )
    add_json(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    if args.export is not None:
        from fashion_hpo.registering.export import check_target

        check_target(args.export)
    with answering(args) as answer:
        if args.rollback:
            return _roll_back(args, answer)
        return _export_champion(args, answer) if args.name is None else _choose(args, answer)


def _export_champion(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    """Export the present champion; nothing is registered or opened."""
    from fashion_hpo.design.data_set import FASHION_NAME, registered_name
    from fashion_hpo.stores import registry
    from fashion_hpo.stores.opening import ledger_of_trial
    from fashion_hpo.stores.reading import store_to_load_from
    from fashion_hpo.stores.tracking import RETRAINED, TAG
    from fashion_hpo.training.data import load_or_download

    if args.export is None:
        raise ValueError(
            "no study was named; name one, or type `python -m fashion_hpo.register --rollback`."
        )
    store = store_to_load_from(args.store, args.storage)
    name = registered_name(args.data_name or FASHION_NAME)
    version, _ = registry.version_verified(store.tracking_uri, registry.champion_uri(name))
    uid = version.tags[f"{TAG}.uid"].removeprefix(RETRAINED)
    ledger = ledger_of_trial(store, uid)
    own = None if ledger is None or args.data is not None else ledger.info.files
    args.data_name = None if args.data is None else args.data_name
    splits = load_or_download(command_line.data_of(args, own))
    _export(args, store.tracking_uri, name, splits, answer)
    return 0


def _export(
    args: argparse.Namespace,
    tracking_uri: str,
    name: str,
    splits: "SearchSplits",
    answer: dict[str, Any],
) -> None:
    from fashion_hpo.registering.export import TOLERANCE, export
    from fashion_hpo.stores import registry

    address = registry.champion_uri(name)
    written = export(tracking_uri, address, splits.info, splits.val.images, args.export)
    answer |= {"export": str(written.folder), "largest_difference": written.difference}
    say(
        f"version {written.version.version} is in {written.folder}: its probabilities as ONNX "
        f"differ from the torch model's by at most {written.difference:.1g} on "
        f"{written.images:,} validation images ({TOLERANCE:g} is allowed)."
    )
    folder = shlex.quote(str(written.folder))
    print(f"train     python -m fashion_hpo.train --config {folder}/config.json")
    print(f"serve     python -m fashion_hpo.serve --model {folder}")


def _choose(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    from fashion_hpo.analysis import records
    from fashion_hpo.integrity.mending import bring_back
    from fashion_hpo.registering import registration
    from fashion_hpo.running import confirmation
    from fashion_hpo.running.mirror import Mirror
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.tracking import Tracker
    from fashion_hpo.training.data import load_or_download

    store = Store.at(args.store, args.storage)
    ledger = confirmation.deciding(store, records.find_ledger(store, args.name, args.budget))
    tracker = Tracker(store, args.name)
    for mended in bring_back(Mirror(store, ledger, tracker)):
        print(f"mended: {mended}")
    chosen = registration.candidate(ledger, tracker, retrain=args.retrain)
    args.data = command_line.data_of(args, ledger.info.files)
    splits = load_or_download(args.data)
    registration.check_data(ledger, splits)
    with store.lock("register"):  # two processes would both compare with the same champion
        if args.retrain:
            chosen = _retrained(args, chosen, store, tracker, splits)
        code = _register(args, chosen, store, tracker, splits, answer)
    if args.export is not None:
        _export(args, store.tracking_uri, ledger.info.registered_name, splits, answer)
    return code


def _register(
    args: argparse.Namespace,
    chosen: "Candidate",
    store: "Store",
    tracker: "Tracker",
    splits: "SearchSplits",
    answer: dict[str, Any],
) -> int:
    """In this order: compare the files, gate, test, version, champion.

    A model that fails at the gate is neither tested nor registered: the test set stays closed, and
    the run, the model and the gate's result are kept.
    """
    from fashion_hpo.registering import registration
    from fashion_hpo.registering.model_card import model_card, registered
    from fashion_hpo.serving import classifier
    from fashion_hpo.stores import registry
    from fashion_hpo.stores.layout import without_password

    model = registration.load_proven(chosen, tracker, splits)
    name = chosen.ledger.info.registered_name
    known = registry.find_version(tracker, chosen.attempt.uid, chosen.model_id, name)
    present = registry.champion(tracker, name)
    answer |= {"study": args.name, "ledger": chosen.ledger.name, "uid": chosen.attempt.uid}
    if known is not None and present is not None and known.version == present.version:
        registration.crown(chosen, tracker, known, model)
        answer |= {"version": str(known.version), "was_champion": True}
        print(f"version {known.version} is this model and champion already; nothing was opened.")
        return 0
    gate, forced = _gate(args, chosen, store, tracker, model, present)
    tested = _test(args, chosen, store, tracker, model)
    tags = {
        "study": args.name,
        "budget": chosen.ledger.plan.budget,
        "test_openings_before": str(tested.openings_before),
        "test_accuracy": str(tested.score.accuracy),
        "data_hash": chosen.ledger.data_hash,
        "gate": gate,
        "forced": str(forced),
        "retrained": chosen.retrained or "no",
    }
    if not chosen.retrained:  # a retrained model knows the validation images
        tags[classifier.UNSURE] = str(classifier.unsure_below(model, splits.val.images))
    version = registration.register(chosen, tracker, model, tags, model_card(chosen, tested, gate))
    answer |= {
        "version": version,
        "was_champion": False,
        "test_accuracy": tested.score.accuracy,
        "test_loss": tested.score.loss,
        "test_openings_before": tested.openings_before,
        "gate": gate,
        "forced": forced,
    }
    print(f"{name} version {version} is champion", end=": ")
    say(*registered(chosen, tested, gate))
    print(
        f'load it: mlflow.pytorch.load_model("{registry.champion_uri(name)}"), with '
        f'mlflow.set_tracking_uri("{without_password(store.tracking_uri)}")'
    )
    return 0


def _gate(
    args: argparse.Namespace,
    chosen: "Candidate",
    store: "Store",
    tracker: "Tracker",
    model: "nn.Module",
    present: "ModelVersion | None",
) -> tuple[str, bool]:
    """The result of the comparison with the champion as text, and whether --force was needed."""
    from fashion_hpo.registering import final_results
    from fashion_hpo.stores import registry
    from fashion_hpo.stores.openings import shared_log
    from fashion_hpo.stores.tracking import TAG
    from fashion_hpo.training import final_images

    if present is None:
        return FIRST, False
    if present.tags.get(f"{TAG}.uid") == chosen.attempt.uid:  # the same trial
        return present.tags.get(f"{TAG}.gate", FIRST), present.tags.get(f"{TAG}.forced") == "True"
    if not registry.has_model(tracker.client, present):
        return f"version {present.version} was deleted in MLflow, so nothing was compared", False
    if not args.force:
        final_results.check_same_data(chosen, present)
    comparison = final_results.compared(chosen, tracker, present)
    if comparison is None:
        try:
            opponent = final_results.load_champion(chosen, tracker, present)
        except final_results.RefusedError as error:
            if not args.force:
                raise
            return f"not compared, made champion by --force: {str(error).partition('; ')[0]}", True
        purpose = f"register {chosen.ledger.name} against version {present.version}"
        with shared_log(store) as log:
            opened = final_images.open_gate(log, purpose, args.data)
        comparison = final_results.compare(
            chosen, tracker, model, present, opponent, opened.images, opened.openings_before
        )
    if comparison.passed:
        return str(comparison), False
    if not args.force:
        raise final_results.RefusedError(
            f"{chosen.ledger.name} is not made champion: {comparison}; keep the champion, or "
            f"replace it all the same with {final_results.forced(chosen)}."
        )
    return f"{comparison}; made champion all the same, by --force", True


def _test(
    args: argparse.Namespace,
    chosen: "Candidate",
    store: "Store",
    tracker: "Tracker",
    model: "nn.Module",
) -> "Tested":
    """The test result; measured unless an earlier process has measured this model."""
    from fashion_hpo.registering import final_results, registration
    from fashion_hpo.stores.openings import shared_log
    from fashion_hpo.training import final_images

    tested = final_results.tested(chosen, tracker)
    if tested is None:
        if warning := registration.too_small(chosen.ledger.plan):
            say(f"warning: {command_line.on_store(warning, args)}", stream=sys.stderr)
        purpose = f"register {chosen.ledger.name}"
        with shared_log(store) as log:
            opened = final_images.open_test(log, purpose, args.data)
        tested = final_results.test(chosen, tracker, model, opened.images, opened.openings_before)
    tracker.log_summaries(
        chosen.run_id,
        {"test_accuracy": tested.score.accuracy, "test_loss": tested.score.loss},
        int(chosen.result.summaries["kept_epoch"]),
        chosen.result.history[-1]["timestamp"],
    )
    return tested


def _retrained(
    args: argparse.Namespace,
    chosen: "Candidate",
    store: "Store",
    tracker: "Tracker",
    splits: "SearchSplits",
) -> "Candidate":
    from fashion_hpo.registering.retraining import retrain
    from fashion_hpo.training import devices

    ledger, config = chosen.ledger, chosen.attempt.config
    hardware = devices.choose(
        args.device,
        ledger.precision,
        ledger.threads,
        ledger.step,
        served_channels_last=ledger.served_channels_last,
    )
    training = retrain(chosen, store, tracker, splits, hardware.at(config))
    while True:
        try:
            epoch = next(training)
        except StopIteration as ended:
            candidate: Candidate = ended.value
            return candidate
        print(f"epoch {epoch.epoch}: training loss {epoch.train_loss:.4f}", flush=True)


def _roll_back(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    from fashion_hpo.design.data_set import DataSet
    from fashion_hpo.registering import registration
    from fashion_hpo.stores import registry
    from fashion_hpo.stores.layout import Store

    store = Store.at(args.store, args.storage)
    store.check_tracking()
    name = registry.REGISTERED_NAME
    if args.data_name:
        name = DataSet(".", args.data_name).registered_name
    with store.lock("register"):
        restored, withdrawn = registration.roll_back(store.tracking_uri, name)
    answer |= {"version": str(restored), "previous": str(withdrawn)}
    print(f"version {restored} is champion again; version {withdrawn} is previous.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
