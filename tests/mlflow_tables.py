"""Write the tables of the installed MLflow into `stores/mlflow_tables.sql`, after a new version of
MLflow has changed them: `python -m tests.mlflow_tables`.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from mlflow.store.db.utils import _initialize_tables
from sqlalchemy import create_engine

from fashion_hpo.stores.schema import MLFLOW_TABLES


def tables_of_mlflow() -> str:
    """MLflow's empty database, as its migrations make it, in SQL."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "mlflow.db"
        engine = create_engine(f"sqlite:///{database}")
        _initialize_tables(engine)
        engine.dispose()
        with closing(sqlite3.connect(database)) as connection:
            return "".join(f"{statement}\n" for statement in connection.iterdump())


if __name__ == "__main__":
    MLFLOW_TABLES.write_text(tables_of_mlflow(), encoding="utf-8")
