"""Open and check all that a process needs to run a study: stores, images and hardware."""

from dataclasses import dataclass, field
from pathlib import Path

from fashion_hpo.design.constraints import OF_NETWORKS
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo, DataSet
from fashion_hpo.design.fitting import fitted_to
from fashion_hpo.design.plan import Plan, check_drawable, points
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.running.signals import StopSignals
from fashion_hpo.stores.checkpoints import SharedCheckpoints, place_of
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import open_ledger
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training import architectures, devices
from fashion_hpo.training.data import SearchSplits, load_or_download
from fashion_hpo.training.devices import Hardware


@dataclass(frozen=True)
class Session:
    """The open resources of one process in one study."""

    store: Store
    ledger: Ledger
    mirror: Mirror
    splits: SearchSplits
    hardware: Hardware
    notes: tuple[str, ...] = ()  # what was left out or made smaller, in words
    signals: StopSignals = field(default_factory=StopSignals)
    checkpoints: SharedCheckpoints | None = None  # None if no other host shares the ledger

    @property
    def tracker(self) -> Tracker:
        """The mirror's tracker."""
        return self.mirror.tracker


def open_session(
    store: Store,
    plan: Plan,
    *,
    data: Path | DataSet | None = None,
    device: str = "auto",
    revise: bool = False,
    threads: int | None = None,
    precision: str | None = None,
    step: str = "captured",
    served_channels_last: bool = True,
    worker: int = 0,
    splits: SearchSplits | None = None,
) -> Session:
    """Open all that a plan needs.

    A new ledger stores `threads`, `precision` (default: the hardware's best), `step` and the
    exported models' memory format for all its trials; an existing ledger keeps its own.  Raises
    ValueError, before writing anything, for an unknown architecture, missing or broken data, an
    absent device or a store of another spec.
    """
    check_architectures(plan)
    check_drawable(plan)
    hardware = devices.choose(device, precision or plan.base.precision, threads)
    splits = splits or load_or_download(data)
    check_architectures(plan, splits.info)
    plan, smaller = fitted_to(plan, splits.info)
    ledger = open_ledger(
        store,
        plan,
        splits.data_hash,
        threads=hardware.threads,
        precision=hardware.precision,
        step=step,
        served_channels_last=served_channels_last,
        info=splits.info,
        revise=revise,
        worker=worker,
    )
    mirror = Mirror(store, ledger, Tracker(store, plan.name))
    hardware = devices.choose(
        device,
        ledger.precision,
        ledger.threads,
        ledger.step,
        served_channels_last=ledger.served_channels_last,
    )
    mirror.open_study_run(hardware)
    place = place_of(store, mirror.artifact_uri)
    checkpoints = None if place is None else SharedCheckpoints(place, ledger.uid)
    notes = (*splits.notes, *filter(None, [smaller]))
    return Session(store, ledger, mirror, splits, hardware, notes, checkpoints=checkpoints)


def check_architectures(plan: Plan, info: DataInfo = FASHION_MNIST) -> None:
    """Raise ValueError unless the catalogue has all the plan's architectures and options, for the
    images and classes of the data set."""
    if plan.search is None:
        configs = [point.config for point in points(plan)]
    else:
        named = getattr(plan.search.space.get("architecture"), "choices", [plan.base.architecture])
        configs = [plan.base.replace(architecture=name) for name in named]
    for name, options in {(c.architecture, tuple(c.architecture_options.items())) for c in configs}:
        architectures.check(name, dict(options), info)
        lacking = sorted(plan.measured.intersection(OF_NETWORKS))
        if name in architectures.CLASSICAL and lacking:
            role = "an objective" if lacking[0] in plan.objectives else "constrained"
            raise ValueError(
                f"architecture {name} has no {lacking[0]}, which is {role}; leave one of them out."
            )
