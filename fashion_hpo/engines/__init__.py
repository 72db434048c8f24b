"""Start the workers of a study: as processes of this machine, or by Ray on the nodes of a cluster.

Imports nothing: Ray imports `engines.node` into processes that need neither torch nor MLflow.
"""
