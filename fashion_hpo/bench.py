"""Measure speed on this machine: `python -m fashion_hpo.bench trainer`."""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fashion_hpo.reporting import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Prints figures; judges nothing."""
    made = command_line.parser("bench", "Measure the trainer and what bookkeeping costs a trial.")
    made.add_argument("what", choices=["trainer"])
    command_line.add_data(made)
    made.add_argument("--repeats", type=command_line.positive, default=5, metavar="N")
    made.add_argument(
        "--epochs",
        type=command_line.positive,
        default=8,
        metavar="N",
        help="of the whole trial, all images each; default: 8",
    )
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.running import benchmarks
    from fashion_hpo.training import devices

    hardware = devices.choose(args.device)
    torch_threads = f"{hardware.threads} threads, {hardware.precision}"
    print(
        f"{hardware.describe()['device_name']}, {torch_threads}; cnn, batch 128, medians of "
        f"{args.repeats} interleaved repeats after a warm-up"
    )
    speed = benchmarks.trainer_speed(args.data, hardware, args.repeats)
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
        cost = benchmarks.trial_cost(Path(folder), args.data, args.device, args.epochs)
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
