"""Does label smoothing raise the validation accuracy?

    python -m fashion_hpo.study NAME --budget quick      # proves that it runs, in minutes
    python -m fashion_hpo.study NAME

The first paragraph is the question, as tables and pages show it.  docs/writing-studies.md lists
everything that a study can say.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, StudySpec, levels

STUDY = StudySpec(
    # What all trials share; `python -m fashion_hpo.train --list` shows every field and its default.
    base=TrainConfig(architecture="cnn", epochs=10, train_images=20_000),
    # The question: each level is trained with the same seeds, so that differences are paired.
    scientific={"label_smoothing": levels(0.0, 0.1, 0.2)},
    seeds=3,
    # What you expect, with the smallest difference that matters, written down before the run.
    claims=[
        Claim(
            id="smoothing",
            text="Label smoothing of 0.1 raises the accuracy by half a point at least.",
            measure="val_accuracy",
            contrast=("label_smoothing", 0.0, 0.1),
            direction="higher",
            margin=0.005,
        )
    ],
    budgets={
        "quick": Budget(epochs=2, train_images=2_000, seeds=2),
        "standard": Budget(),  # as above
    },
)
