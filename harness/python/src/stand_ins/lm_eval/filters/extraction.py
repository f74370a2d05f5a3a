"""Filters that find an answer in a text."""

import re

from lm_eval.api.filter import Filter


class RegexFilter(Filter):
    """The chosen match of a pattern, stripped; of several groups, the first that is not empty."""

    def __init__(self, regex_pattern=r"#### (\-?[0-9\.\,]+)", group_select=0, fallback="[invalid]"):
        self.regex_pattern = regex_pattern
        self.regex = re.compile(regex_pattern)
        self.group_select = group_select
        self.fallback = fallback

    def apply(self, resps, docs):
        return [[self._found(resp) for resp in responses] for responses in resps]

    def _found(self, resp):
        matches = self.regex.findall(resp if isinstance(resp, str) else "")
        if not matches:
            return self.fallback
        match = matches[self.group_select]
        if isinstance(match, tuple):
            match = next((group for group in match if group), self.fallback)
        return match.strip()


class WhitespaceFilter(Filter):
    """Responses without the whitespace around them."""

    def apply(self, resps, docs):
        return [[resp.strip() for resp in responses] for responses in resps]
