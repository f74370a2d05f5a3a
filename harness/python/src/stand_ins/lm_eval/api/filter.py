"""The base of filters."""

from abc import ABC, abstractmethod


class Filter(ABC):
    """Takes the place of every request's responses, all requests of a task at once."""

    def __init__(self, **kwargs):
        pass

    @abstractmethod
    def apply(self, resps, docs):
        """One item for every item of `resps`, in the same order."""
        return resps
