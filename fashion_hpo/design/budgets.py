"""The budgets' names, apart from `spec`, so that a command's --help need not load Optuna."""

from typing import Literal, get_args

BudgetName = Literal["quick", "standard", "full"]
BUDGETS: tuple[BudgetName, ...] = get_args(BudgetName)
"""From the wiring's proof to the reports' scale."""
