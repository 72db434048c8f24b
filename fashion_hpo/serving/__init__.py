"""Classify pictures with a registered model, from files and over HTTP."""
