"""Names of the budgets, in their own module, so that --help does not import Optuna."""

from typing import Literal, get_args

BudgetName = Literal["quick", "standard", "full"]
BUDGETS: tuple[BudgetName, ...] = get_args(BudgetName)
"""In order of size: from a test of the wiring to the scale of the reports."""
QUICK: BudgetName = "quick"
