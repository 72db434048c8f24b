"""The versions of the packages that results may depend on."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from fashion_hpo import __version__

PACKAGES = ("torch", "torchvision", "mlflow", "optuna", "numpy", "pandas", "scipy", "plotly")


def packages() -> str:
    """One line per package: its name and version; ours first."""
    versions = {"fashion_hpo": __version__} | {name: version_of(name) for name in PACKAGES}
    return "".join(f"{name}=={number}\n" for name, number in versions.items())


def version_of(name: str) -> str:
    """A package's version.

    "unknown" if the package has no metadata, as in a copied folder; "not installed" if absent.
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed" if find_spec(name) is None else "unknown"
