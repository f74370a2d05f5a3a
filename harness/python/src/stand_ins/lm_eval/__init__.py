"""Stands in for `lm_eval` where it is not installed: what the Python files of its tasks import from it, and no more."""
