"""What do the plain and the optimized CNN reach with all training images?

A baseline for all other studies, asked by no report: fixed settings, nothing tuned.

    python -m fashion_hpo.study accuracy_baseline
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(dropout=0.2, epochs=20),
    scientific={"architecture": levels("cnn", "optimized_cnn")},
    captions={"cnn": "plain CNN", "optimized_cnn": "optimized CNN"},
    budgets={
        "quick": Budget(epochs=8, train_images=8_000, seeds=1),
        "standard": Budget(),
        "full": Budget(epochs=30, seeds=5),
    },
)
