"""Do depthwise convolutions, or tokens without patches, improve a small vision transformer?

Report R1's base transformer and its two variants, all with the same settings.  The patch-free
variant has 196 tokens, as in the report's code; with the 784 of its text it trains 15 images/s.

    python -m fashion_hpo.study vit_variants

The patch-free variant trains about 90 images/s on two CPU cores: standard takes about 25 minutes.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

DEPTHWISE = ("architecture", "vit_pooled", "vit_depthwise")
PATCH_FREE = ("architecture", "vit_pooled", "vit_patch_free")
REGIME = Regime(at={"architecture": "vit_pooled"}, reaches=0.833, steps=3_000)

STUDY = StudySpec(
    base=TrainConfig(pixel_range="symmetric", dropout=0.1, batch_size=64, epochs=20),
    scientific={"architecture": levels("vit_pooled", "vit_depthwise", "vit_patch_free")},
    folds=True,
    claims=[
        Claim(id="R1.f", regime=REGIME, parts=[
            Part("val_accuracy", "higher", contrast=DEPTHWISE, margin=0.0083),
            Part("parameters", "same", contrast=DEPTHWISE, relative=True, margin=0.03),
        ]),
        Claim(id="R1.g", regime=REGIME, measure="val_accuracy", direction="higher",
              contrast=PATCH_FREE, margin=0.002),
    ],
    captions={"vit_pooled": "base transformer"},
    budgets={
        "quick": Budget(epochs=1, train_images=500, seeds=1),
        "standard": Budget(epochs=6, train_images=3_000),
        "full": Budget(seeds=5),
    },
)  # fmt: skip
