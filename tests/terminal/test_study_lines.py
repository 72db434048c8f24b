from optuna.distributions import FloatDistribution

from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.terminal.study_lines import check_lines, plan_lines
from tests import plans


def test_plan_lines_say_what_a_design_is_about_to_do() -> None:
    first, second = plan_lines(plans.design())
    assert first == "tiny, budget standard: Does it run?"
    assert second == (
        "2 dropout x 2 seed(s) = 4 trials, 3 epochs of 100 images each: 1,200 image passes at most"
    )
    several = plans.design(
        scientific={"dropout": (0.0, 0.5), "optimizer": ("adam", "sgd")},
        nuisance={"weight_decay": FloatDistribution(0.0, 0.1)},
        nuisance_points=3,
    )
    assert plan_lines(several)[1].startswith(
        "2 dropout x 2 optimizer x 3 nuisance points x 2 seed(s) = 24 trials, "
    )


def test_plan_lines_say_what_a_search_is_about_to_do() -> None:
    assert plan_lines(plans.search())[1] == (
        "5 trials of tpe over dropout, learning_rate, batch_size (5 of 5 trials are random "
        "start-up trials: tpe uses results once 10 are complete or pruned), 3 epochs of 100 images "
        "each: "
        "1,500 image passes at most; then the best 3 on 3 fresh seed(s) each, 2,700 more"
    )


def test_only_warnings_are_printed_each_with_what_to_do() -> None:
    checks = [Check("boundary", "ok", "All is well."), Check("diverged", "warning", "2.", "Mend.")]
    assert check_lines(checks) == ["check     2. Mend."]
