"""The five reports' claims, each in our own words with the report's own figure.

A study's claim refers to one of these by its id; each is claimed by one study.  This file is no
study: `fashion_hpo.design.reports` reads it.
"""

REPORTS = {
    "R0": "Deep Learning on Clothing Classification (2025)",
    "R1": "Fashion-MNIST Clothing Classification (2024/25)",
    "R2": "Classifying Fashion Items using a Convolutional Neural Network",
    "R3": "Advanced Deep Learning Techniques for Fashion-MNIST Classification",
    "R4": "Deep Network with Fashion MNIST (2024)",
}

CLAIMS = {
    "R0.a": (
        "MixUp costs the plain CNN a little accuracy and lowers its loss.",
        "92.18 → 91.96 %; loss 0.2541 → 0.2381",
    ),
    "R0.b": (
        "Deformable convolution alone leaves the accuracy as it is and lowers the loss.",
        "92.18 → 92.16 %; loss 0.2541 → 0.2469",
    ),
    "R0.c": (
        "Deformable convolution and MixUp gain more together than the sum of both.",
        "+0.61 points together, −0.22 and −0.02 alone; loss −16 %",
    ),
    "R0.d": ("The plain CNN beats the vision transformer.", "92.18 against 86.62 %"),
    "R0.e": (
        "Tuning prompts, under 1 % of the parameters, loses most of what full training gains.",
        "86.62 → 63.62 % (shallow), 63.15 % (deep)",
    ),
    "R0.f": (
        "The vision transformer over-fits: its accuracy peaks early and falls.",
        "87.31 % at epoch 7, then 86.62 %",
    ),
    "R0.g": ("MixUp improves calibration.", "no figure"),
    "R0.h": (
        "Deep prompts over-fit early, and prompt tuning oscillates.",
        "66.24 % at epoch 7, then 63.15 %",
    ),
    "R0.i": (
        "Deformable convolution with MixUp learns faster than the others at first.",
        "no figure",
    ),
    "R1.a": (
        "The simplest network wins: VGG8 beats all that are deeper or larger.",
        "91.8 % against 86 (wider), 10 (VGG12) and 88.6 (ResNet18)",
    ),
    "R1.b": ("A wider VGG8 over-fits.", "91.8 → 86 %"),
    "R1.c": ("VGG12 cannot be trained on these images: its gradients vanish.", "10 % for 7 epochs"),
    "R1.d": (
        "ResNet18 trains faster than VGG12 and is less accurate than VGG8.",
        "88.6 against 91.8 %",
    ),
    "R1.e": ("Dilation does not help on 28x28 images.", "no gain"),
    "R1.f": (
        "A depthwise convolution in each transformer layer gains accuracy for few parameters.",
        "86.34 → 88 %, about 2 % more parameters",
    ),
    "R1.g": (
        "Doing without patches gains a little accuracy.",
        "86.34 → 86.7 %, for twice the parameters",
    ),
    "R1.h": ("MixUp and RandAugment improve every model.", "no figure"),
    "R1.i": (
        "Depthwise-separable convolutions change neither VGG8's speed nor its accuracy.",
        "no noticeable change",
    ),
    "R2.a": (
        "Without dropout the losses part early; with dropout they fall together.",
        "parting at about epoch 5",
    ),
    "R2.b": ("Dropout is the most influential hyperparameter.", "no figure"),
    "R2.c": (
        "A large batch gives smoother curves, a lower loss and a higher accuracy than a small one.",
        "loss about 0.15 at 92 to 93 %",
    ),
    "R2.d": ("A high learning rate makes the accuracy jump; a low one is smooth.", "no figure"),
    "R2.e": ("The optimized CNN beats the simple CNN clearly.", "92 to 93 %"),
    "R2.f": ("Dropout, a low learning rate and a large batch are the best setting.", "92 to 93 %"),
    "R3.a": ("A light pretrained network reaches 93 % at low cost.", "93 %"),
    "R3.b": ("Most errors are between classes that look alike.", "no figure"),
    "R3.c": (
        "Most predictions are confident, and therefore reliable.",
        "a box plot of confidences",
    ),
    "R4.a": ("The three-block network reaches 99.43 %.", "99.43 %"),
    "R4.b": ("Augmentation and dropout are both crucial.", "no figure"),
    "R4.c": (
        "Quoted for comparison: MLP, random forest, LeNet-5 and a tuned CNN.",
        "87.1, 87.3, 98 and 93.11 %",
    ),
}
"""By id, in the order in which they are shown: what is claimed, and the report's figure for it."""
