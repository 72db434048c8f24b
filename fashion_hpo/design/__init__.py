"""What is to be run: values only.  Imports nothing of torch, MLflow or the stores."""
