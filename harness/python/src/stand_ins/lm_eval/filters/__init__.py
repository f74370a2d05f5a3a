"""Filters that task files build on."""
