"""Decorators that put a name on filters, metrics and aggregations. Here task files name Python by `!function`, so nothing looks
the names up."""


def register_filter(name):
    return lambda decorated: decorated


def register_aggregation(name):
    return lambda decorated: decorated


def register_metric(**options):
    return lambda decorated: decorated
