"""Decorators that put a name on filters, metrics and aggregations. Here task files name Python by `!function`, so only filters
are looked up by name."""

FILTERS = {}


def register_filter(name):
    def register(decorated):
        FILTERS[name] = decorated
        return decorated

    return register


def get_filter(name):
    return FILTERS[name]


def register_aggregation(name):
    return lambda decorated: decorated


def register_metric(**options):
    return lambda decorated: decorated
