"""Hyperparameter studies on Fashion-MNIST, tracked in MLflow, answered with uncertainty."""

__version__ = "0.1.0"
