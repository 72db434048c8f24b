"""The packages of the wheel: studies/, at the top of the repository, is fashion_hpo.studies in it.

Here because pyproject.toml can either find packages or name them, not both.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["fashion_hpo*"]), "fashion_hpo.studies"],
    package_dir={"fashion_hpo.studies": "studies"},
    package_data={
        "fashion_hpo.analysis.statistics": ["expected_regret.json"],
        "fashion_hpo.measuring": ["search_table/*"],
        "fashion_hpo.reporting.page": ["templates/*"],
        "fashion_hpo.serving": ["page.html"],
        "fashion_hpo.stores": ["mlflow_tables.sql"],
    },
)
