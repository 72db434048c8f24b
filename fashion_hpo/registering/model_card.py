"""Write the model card: the description of a registered model."""

import json
from collections.abc import Sequence

from fashion_hpo.analysis.intervals import t_interval, wilson
from fashion_hpo.design.data_set import DataInfo
from fashion_hpo.design.sentences import shortened
from fashion_hpo.registering.final_results import Tested
from fashion_hpo.registering.registration import Candidate
from fashion_hpo.registering.winner import Winner

LONGEST_QUESTION = 600  # characters; MLflow's limit for a description is 5,000


def accuracy_text(share: float, count: int) -> str:
    """An accuracy with its Wilson interval."""
    low, high = wilson(share, count)
    return f"{share:.2%} (95 % interval {low:.2%} to {high:.2%}, Wilson, {count:,} images)"


def seeds_text(values: Sequence[float]) -> str:
    """A mean over seeds with its t interval."""
    interval = t_interval(values)
    if len(values) < 2:
        return f"{interval.mean:.2%} (one seed: no interval)"
    return (
        f"{interval.mean:.2%} (95 % interval {interval.low:.2%} to {interval.high:.2%}, t over "
        f"{len(values)} seeds)"
    )


def model_card(chosen: Candidate, tested: Tested, gate: str) -> str:
    """Markdown of at most about 4,500 characters: the model's origin, results, use and limits.

    gate: the comparison with the champion, in words.
    """
    won, ledger = chosen.winner, chosen.ledger
    config = json.dumps(chosen.attempt.config.to_dict(), indent=1)
    score = tested.score
    return f"""# {chosen.attempt.config.architecture} of {ledger.name}

Question of the study: {shortened(ledger.attributes["question"], LONGEST_QUESTION)}

{_origin(chosen)}

| measure | value |
|---|---|
| validation accuracy of this config, which it was chosen by | {seeds_text(won.values)} |
{_of_model(chosen)}| test accuracy | {accuracy_text(score.accuracy, score.images)} |
| test loss | {score.loss:.4f} nats |
| openings of the test set before this one | {tested.openings_before} |

Against the champion before: {gate}.

| class (test images) | precision | recall | F1 | images |
|---|---|---|---|---|
{_class_rows(tested)}

{_use(ledger.info)} {_selection(won)}The test accuracy says less the more
often the test set was opened before.
Data sha256: {ledger.data_hash}

```json
{config}
```
"""


def registered(chosen: Candidate, tested: Tested, gate: str) -> list[str]:
    """The main results for the terminal, in lines."""
    won, score = chosen.winner, tested.score
    which = won.standing
    if chosen.retrained:
        which = f"that config, trained again on {chosen.retrained}"
    return [
        f"{chosen.attempt.config.architecture} of {chosen.ledger.name}, {_best_of(chosen)}: "
        f"{seeds_text(won.values)}",
        f"registered: {which}",
        f"against the champion before: {gate}",
        f"test accuracy {accuracy_text(score.accuracy, score.images)}, the test set's opening "
        f"number {tested.openings_before + 1} here",
    ]


def _origin(chosen: Candidate) -> str:
    won, best = chosen.winner, _best_of(chosen)
    of_configs = f"{best[0].upper()}{best[1:]}"
    if not chosen.retrained:
        return f"{of_configs}; this model is {won.standing}."
    return (
        f"{of_configs}; this model is that config trained again on {chosen.retrained} (the median "
        "of its seeds' best epochs). Its own validation accuracy would say nothing: it has seen "
        "those images."
    )


def _best_of(chosen: Candidate) -> str:
    """How many configs the winner was chosen from, and whether it is a search's base config."""
    won, plan = chosen.winner, chosen.ledger.plan
    by = "mean validation accuracy over seeds" if len(won.trials) > 1 else "a single trial each"
    rank = f"best of {won.configs} configs by {by}" if won.configs > 1 else "the only config"
    if (
        plan.searched is not None
        and chosen.attempt.config.replace(seed=plan.base.seed) == plan.base
    ):
        rank += ", the base config's own values"
    return rank


def _selection(won: Winner) -> str:
    if won.configs < 2:
        return ""
    what = "means" if len(won.trials) > 1 else "values"
    return f"The highest of {won.configs} {what} is a little too high by selection. "


def _of_model(chosen: Candidate) -> str:
    """Table rows that a retrained model does not have."""
    if chosen.retrained:
        return ""
    summaries = chosen.result.summaries
    accuracy = accuracy_text(summaries["model_val_accuracy"], chosen.ledger.info.val)
    return (
        f"| validation accuracy of this model | {accuracy} |\n"
        f"| calibration error (validation, 15 bins of equal mass) | {summaries['ece']:.4f} |\n"
    )


def _use(info: DataInfo) -> str:
    if info.is_default:
        return (
            "Input: raw uint8 (N, 28, 28), grey, the article bright on black. Output: ten "
            "probabilities.\nIntended use: teaching, and comparing methods, on Fashion-MNIST.\n"
            "Limits: not for photographs of clothes."
        )
    shape = ", ".join(map(str, ("N", *info.image_shape)))
    colour = "grey" if info.channels == 1 else "red, green, blue"
    return (
        f"Data set: {info.name}, {info.train:,} training, {info.val:,} validation, {info.gate:,} "
        f"gate and {info.test:,} test images of {len(info.classes)} classes.\n"
        f"Input: raw uint8 ({shape}), {colour}. Output: {len(info.classes)} probabilities.\n"
        f"Intended use: pictures like those of {info.name}.\nLimits: pictures of other sources "
        "were not tested."
    )


def _class_rows(tested: Tested) -> str:
    return "\n".join(
        f"| {name} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {images} |"
        for name, precision, recall, f1, images in tested.score.classes
    )
