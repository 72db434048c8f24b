"""When verdicts are given while a study's seeds grow, and how much error each such look may make.

A study that is looked at after every added seed finds something sooner or later: at 5 % a look, one
in five studies of equal levels has a false verdict by 20 seeds.  So the looks are declared, by the
largest number of seeds, and share the 5 %: by a share t of the seeds, 5 % · ln(1 + (e − 1) t) may
be spent (Lan and DeMets 1983, the spending function like Pocock's).
"""

import math
from collections.abc import Sequence

ERROR = 0.05
MOST_LOOKS = 5
STEPS = 400  # of the numerical integration; more change no level by 0.01 %
HALVINGS = 40


def looks(first: int, most: int) -> tuple[int, ...]:
    """The numbers of seeds with a verdict: the first, and up to four more, evenly spread."""
    steps = min(MOST_LOOKS - 1, most - first)
    later = (first + round(step * (most - first) / steps) for step in range(1, steps + 1))
    return (first, *later)


def error_levels(seeds: Sequence[int]) -> list[float]:
    """The two-sided error of the test at each look, at these numbers of seeds.

    The sum of a study's values is a random walk over its seeds.  A look's bound is such that the
    walk of a study without effect passes it, and passed none before, as often as its share of the
    5 % allows (Armitage, McPherson and Rowe 1969).
    """
    import numpy as np  # here: the commands' help must not import it
    from scipy.special import ndtr

    levels, before, spent = [], 0, 0.0
    walk, weight = np.zeros(1), np.ones(1)  # where it may be at the look before, and how probably
    for count in seeds:
        spread = math.sqrt(count - before)
        to_spend = ERROR * math.log(1 + (math.e - 1) * count / seeds[-1]) - spent
        low, high = 0.0, 10 * math.sqrt(count)
        for _ in range(HALVINGS):
            bound = (low + high) / 2
            passed = 2 * float(weight @ ndtr((walk - bound) / spread))
            low, high = (bound, high) if passed > to_spend else (low, bound)
        levels.append(2 * float(ndtr(-bound / math.sqrt(count))))
        grid = (np.arange(STEPS) + 0.5) / STEPS * 2 * bound - bound
        steps = np.exp(-(((grid[:, None] - walk) / spread) ** 2) / 2) / spread
        weight = steps @ weight * (2 * bound / STEPS / math.sqrt(2 * math.pi))
        walk, before, spent = grid, count, spent + to_spend
    return levels
