"""Which seeds a verdict may rest on: those of the study's last declared look that is complete."""

from dataclasses import dataclass, replace

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.wording import seeds
from fashion_hpo.design.looks import ERROR, error_levels


@dataclass(frozen=True)
class Look:
    """The records that verdicts rest on, and the two-sided error that they may make.

    `why` says why there is no verdict, "" where there is one.
    """

    records: Records
    error: float = ERROR
    sentence: str = ""  # where there are several looks, which one it is
    why: str = ""


def look_of(records: Records) -> Look:
    """The last look that is complete.

    A report before the first is no look; beyond the last, nothing is left to be spent.
    """
    planned, complete = records.plan.looks, _complete_seeds(records)
    if complete < planned[0]:
        why = f"no verdict before {seeds(planned[0])} are complete, and {complete} are"
        return Look(records, why=why)
    if complete > planned[-1]:
        why = (
            f"no verdict: {seeds(complete)} are complete, and the study declared "
            f"{planned[-1]} at most"
        )
        return Look(records, why=why)
    number = sum(count <= complete for count in planned)
    error = error_levels(planned)[number - 1]
    sentence = f", look {number} of {len(planned)}" if len(planned) > 1 else ""
    return Look(_until(records, planned[number - 1]), error, sentence)


def _complete_seeds(records: Records) -> int:
    """How many seeds, from the first on, have an outcome for each of their points."""
    plan = records.plan
    if not records.remaining:
        return plan.seeds
    done = records.trials.get("seed_index")
    counts = {} if done is None else done.value_counts().to_dict()
    needed = plan.trials // plan.seeds
    complete = [counts.get(seed, 0) >= needed for seed in range(plan.seeds)]
    return complete.index(False) if False in complete else plan.seeds


def _until(records: Records, count: int) -> Records:
    """The records of the first seeds alone."""
    if "seed_index" not in records.trials:
        return records
    trials = records.trials[records.trials["seed_index"] < count]
    return replace(records, trials=trials)
