"""Filters, their registry, and aggregations."""
