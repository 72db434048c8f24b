"""Measure speed on this machine: `python -m fashion_hpo.bench trainer`."""

import argparse
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from fashion_hpo.terminal import command_line, environment

MEASUREMENTS = (
    "trainer", "trials", "peers", "workers", "ledger", "cluster", "pictures", "gpu", "search",
)  # fmt: skip
REPEATS = 5  # but of `search`
TRIALS = (100, 1_000, 10_000)  # of `ledger`
SAMPLERS = ("random", "quasi_random", "tpe", "gp")
PRUNERS = ("none", "hyperband", "successive_halving", "median", "one_epoch")
CLUSTERS = (1_000, 10_000)  # workers for which `cluster` computes a ceiling


def main(argv: Sequence[str] | None = None) -> int:
    """Print measurements; returns 0, or 2 for bad input."""
    parser = command_line.parser(
        "bench",
        "Measure this machine: `trainer` the training speed and the bookkeeping of a trial, "
        "`trials` whole trials an hour, where the time of one goes, and a study's start and end, "
        "`peers` whole trials of this project, Optuna, Ray Tune and Lightning with MLflow, "
        "`workers` one worker against one per core, `ledger` the cost of many finished trials, "
        "`cluster` how many workers a PostgreSQL database and an MLflow server can serve, "
        "`pictures` how often the champion is right about pictures as people have them, "
        "`gpu` the training speed on a GPU, which needs no package but torch and numpy, "
        "`search` what samplers and pruners find, replayed on a table of trained configs.",
    )
    parser.add_argument("what", choices=MEASUREMENTS)
    command_line.add_data(parser)
    command_line.add_store(parser)
    parser.add_argument(
        "--repeats",
        type=command_line.positive,
        metavar="N",
        help="repeats of each measurement; default: 5, of `search` 100 (20 with gp)",
    )
    parser.add_argument(
        "--images",
        type=command_line.positive,
        default=12_800,
        metavar="N",
        help="images that `trainer` trains on in a repeat, `trials` and `peers` in an epoch; "
        "default: 12800",
    )
    parser.add_argument(
        "--epochs",
        type=command_line.positive,
        metavar="N",
        help="epochs of a whole trial; default: 8, with all images; 2 in `trials` and `peers`",
    )
    parser.add_argument(
        "--trials",
        type=command_line.positive,
        nargs="+",
        metavar="N",
        help="finished trials of the studies in `ledger`, default: 100 1000 10000 (minutes); "
        "trials of each peer in a repeat, default: 6; image passes of `search`, in complete "
        "trials, default: 10 20 40",
    )
    parser.add_argument(
        "--workers",
        type=command_line.positive,
        nargs="+",
        default=[1, 8, 32, 64],
        metavar="N",
        help="workers of `cluster`; default: 1 8 32 64",
    )
    parser.add_argument(
        "--per-worker",
        type=command_line.positive,
        default=20,
        metavar="N",
        help="trials of each worker in `cluster`; default: 20",
    )
    parser.add_argument(
        "--side-by-side",
        type=command_line.positive,
        default=1,
        metavar="N",
        help="trials that take turns in `trials`; default: 1",
    )
    parser.add_argument(
        "--table",
        type=command_line.folder,
        metavar="DIR",
        help="trained configs of `search`: trials.csv and epochs.csv of the study search_table; "
        "default: the table kept here",
    )
    parser.add_argument(
        "--samplers",
        nargs="+",
        choices=SAMPLERS,
        default=SAMPLERS,
        metavar="S",
        help=f"samplers of `search`; default: {' '.join(SAMPLERS)}",
    )
    parser.add_argument(
        "--pruners",
        nargs="+",
        choices=PRUNERS,
        default=PRUNERS,
        metavar="P",
        help=f"pruners of `search`; default: {' '.join(PRUNERS)}",
    )
    parser.add_argument(
        "--startup",
        type=command_line.positive,
        default=10,
        metavar="N",
        help="random start-up trials of tpe and gp in `search`; default: 10",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="also write the mean regrets of `search` to this JSON file, beside those that it has "
        "of other samplers; reports show analysis/statistics/expected_regret.json",
    )
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the table of `trials`, `gpu` or `search` as Markdown",
    )
    return command_line.run(_run, parser, argv, _needed)


def _needed(args: argparse.Namespace) -> Sequence[str]:
    return environment.OF_TRAINING if args.what == "gpu" else environment.NEEDED


def _run(args: argparse.Namespace) -> int:
    measure = {
        "trainer": _trainer,
        "trials": _trials,
        "peers": _peers,
        "ledger": _ledger,
        "workers": _workers,
        "cluster": _cluster,
        "pictures": _pictures,
        "gpu": _gpu,
        "search": _search,
    }
    return measure[args.what](args)


def _ledger(args: argparse.Namespace) -> int:
    from fashion_hpo.measuring import benchmarks

    print("trials   opening   reconcile   claim of a trial   bookkeeping of a trial   (seconds)")
    for trials in args.trials or TRIALS:
        with tempfile.TemporaryDirectory() as folder:
            cost = benchmarks.ledger_cost(Path(folder), args.data, trials)
        print(
            f"{cost.trials:6}   {cost.opening:7.2f}   {cost.reconciling:9.2f}   "
            f"{cost.claiming:16.3f}   {cost.bookkeeping:22.3f}",
            flush=True,
        )
    return 0


def _cluster(args: argparse.Namespace) -> int:
    from fashion_hpo.measuring import cluster
    from fashion_hpo.stores.layout import Store

    store = Store.at(args.store, args.storage)
    print(
        "           trials   claim, ms       ledger   MLflow\n"
        "workers  a minute   p50     p99     ms       ms       duplicates   connections"
    )
    loads = []
    for workers in args.workers:
        load = cluster.measure(store, workers, args.per_worker)
        loads.append(load)
        claims, ledger, tracking = (
            [1000 * value for value in values]
            for values in (load.seconds.claiming, load.seconds.ledger, load.seconds.tracking)
        )
        print(
            f"{workers:7}  {load.per_minute:8,.0f}   {cluster.percentile(claims, 50):5,.0f}   "
            f"{cluster.percentile(claims, 99):5,.0f}   {statistics.median(ledger):5,.0f}   "
            f"{statistics.median(tracking):6,.0f}   {load.duplicates:10}   {load.connections:11}",
            flush=True,
        )
    allowed = cluster.most_connections(store)
    for workers in CLUSTERS:
        print(f"{workers:,} workers, computed from these figures, the first bottleneck first:")
        for line in cluster.ceiling(loads, workers, allowed):
            print(f"  {line}")
    return 0


def _gpu(args: argparse.Namespace) -> int:
    from fashion_hpo.measuring import gpu
    from fashion_hpo.training import devices

    hardware = devices.choose(args.device)
    on_gpu = hardware.device_type == "cuda"
    if args.device == "auto" and not on_gpu:
        print("There is no GPU here, so nothing was measured.")
        return 0
    print(
        f"{hardware.describe()['device_name']}, {hardware.precision}, batch {gpu.BATCH}; images/s"
    )
    row = "| {} | {} | {} |" if args.markdown else "{:14}  {:36}  {:>12}"
    print(row.format("network", "way", "images/s"))
    if args.markdown:
        print("|---|---|---|")
    for speed in gpu.measure(hardware, gpu.WHOLE if on_gpu else gpu.SMALL):
        rate = speed.images_per_second
        text = f"not measured: {speed.reason}" if rate is None else f"{rate:,.0f}"
        print(row.format(speed.network, speed.way, text), flush=True)
    return 0


def _pictures(args: argparse.Namespace) -> int:
    import numpy as np

    from fashion_hpo.measuring import pictures
    from fashion_hpo.serving.classifier import champion, stacked
    from fashion_hpo.serving.preparing import prepare
    from fashion_hpo.training.data import load_or_download

    classifier, val = champion(args.store), load_or_download(args.data).val
    images, labels = val.images.numpy(), val.labels.numpy()

    def classify(prepared: np.ndarray) -> np.ndarray:
        answers = classifier.answers(stacked(list(prepared)))
        return np.array([answer.probabilities.argmax() for answer in answers])

    print(f"{classifier.name} version {classifier.version}, {len(images)} validation images")
    print(f"  {'':30} scaled to 28x28   prepared")
    for name, disturb in pictures.DISTURBANCES.items():
        rates = [
            pictures.rate(images, labels, disturb, preparation, classify)
            for preparation in (pictures.resized, lambda picture: prepare(picture).pixels)
        ]
        print(f"  {name:30} {rates[0]:15.1%}   {rates[1]:8.1%}", flush=True)
    return 0


def _search(args: argparse.Namespace) -> int:
    from fashion_hpo.analysis.statistics import expected_regret
    from fashion_hpo.measuring import searches

    table = searches.read_table(args.table)
    sizes = sorted(args.trials or searches.SIZES)
    print(*searches.described(table, args.startup), sep="\n")
    cells = _markdown if args.markdown else _aligned
    heading = ["sampler", "pruner", *(f"{size} trials" for size in sizes)]
    print(cells(heading) + ("\n" + cells(["---"] * len(heading)) if args.markdown else ""))
    rows = []
    searched = [*product(args.samplers, args.pruners)]
    for row in searches.measured(table, searched, sizes[-1], args.repeats, args.startup):
        rows.append(row)
        after = map(searches.shown, row.after(sizes).T)
        print(cells([row.sampler, row.pruner, *after]), flush=True)
        if args.keep:
            curves = searches.curves(table, [row], args.startup)
            expected_regret.write(curves.with_curves(expected_regret.read(args.keep)), args.keep)
    print(*searches.against_random(rows), sep="\n")
    return 0


def _markdown(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _aligned(cells: list[str]) -> str:
    return f"{cells[0]:13} {cells[1]:19}" + "".join(f"{cell:>22}" for cell in cells[2:])


def _workers(args: argparse.Namespace) -> int:
    from fashion_hpo.design.config import TrainConfig
    from fashion_hpo.measuring import scaling
    from fashion_hpo.training.cores import usable_cores

    cores = usable_cores()
    one, many = scaling.images_per_second(TrainConfig(architecture="cnn"), cores, args.data)
    print(
        f"cnn, batch 128, medians of {scaling.REPEATS - 1} interleaved repeats after a warm-up\n"
        f"  one worker of {cores} threads        {one:8,.0f} images/s\n"
        f"  {cores} workers of one thread each   {many:8,.0f} images/s together\n"
        f"  ratio                        {many / one:.2f}"
    )
    return 0


def _peers(args: argparse.Namespace) -> int:
    from fashion_hpo.measuring import peers

    count, repeats = args.trials[0] if args.trials else 6, args.repeats or REPEATS
    trials = peers.Trials(count, args.images, args.epochs or 2)
    print(
        f"{trials.count} trials of {trials.epochs} epochs of {trials.images:,} images, the plain "
        f"CNN, batch {peers.BATCH}; medians of {repeats} interleaved repeats"
    )
    speeds = {}
    for name, speed in peers.compare(trials, repeats, args.data):
        speeds[name] = speed
        turn = f"{speed.seconds[-1]:6.2f} s a trial, validation accuracy {speed.accuracy[-1]:.2%}"
        print(f"  {name:27} {turn}", file=sys.stderr, flush=True)
    print("                              seconds a trial          to ours   validation accuracy")
    for name, speed in speeds.items():
        print(f"  {peers.row(name, speed, speeds[peers.OURS])}")
    for name, reason in peers.missing().items():
        print(f"  {name:27} not measured: {reason}")
    return 0


def _trials(args: argparse.Namespace) -> int:
    from fashion_hpo.measuring import trials
    from fashion_hpo.training import devices

    hardware, repeats = devices.choose(args.device), args.repeats or REPEATS
    size = trials.Size(args.images, args.epochs or 2, args.side_by_side)
    print(
        f"{hardware.describe()['device_name']}, {hardware.threads} threads, {hardware.precision}; "
        f"medians of {repeats} repeats of `python {shlex.join(trials.command(size))}`"
    )
    costs, edges = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            costs.append(trials.cost(Path(folder) / "trials", args.data, args.device, size))
            edges.append(trials.edges(Path(folder) / "command", args.data, args.device, size))
    row = "| {} | {} |" if args.markdown else "  {:39} {:>8}"
    print(*([row.format("what", "value"), "|---|---|"] if args.markdown else []), sep="\n")
    print(row.format("trials an hour", f"{3600 / statistics.median(c.whole for c in costs):,.0f}"))
    for what, seconds in trials.parts(costs, edges).items():
        print(row.format(what, f"{statistics.median(seconds):.2f} s"))
    return 0


def _trainer(args: argparse.Namespace) -> int:
    from fashion_hpo.measuring import benchmarks
    from fashion_hpo.training import devices

    hardware, repeats = devices.choose(args.device), args.repeats or REPEATS
    print(
        f"{hardware.describe()['device_name']}, {hardware.threads} threads, {hardware.precision}; "
        f"cnn, batch 128, medians of {repeats} interleaved repeats after a warm-up"
    )
    speed = benchmarks.trainer_speed(args.data, hardware, repeats, args.images)
    rows = {
        "this trainer": speed.ours,
        "DataLoader over Pillow images": speed.usual,
        "the same with 2 loader processes": speed.usual_with_workers,
    }
    for name, values in rows.items():
        print(
            f"  {name:34} {statistics.median(values):8,.0f} images/s "
            f"({min(values):,.0f} to {max(values):,.0f})"
        )
    print(f"  ratio to the faster of the two      {speed.ratio:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        cost = benchmarks.trial_cost(Path(folder), args.data, args.device, args.epochs or 8)
    print(
        f"one trial of {cost.epochs} epochs, all images: {cost.whole:.1f} s, of which\n"
        f"  training and evaluation {cost.training:7.2f} s\n"
        f"  export, reload, compare {cost.export:7.2f} s\n"
        f"  checkpoints, ledger, MLflow {cost.bookkeeping:.2f} s = "
        f"{cost.bookkeeping / cost.whole:.2%} of the trial\n"
        f"peak memory of this process {cost.peak_bytes / 2**30:.2f} GiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
