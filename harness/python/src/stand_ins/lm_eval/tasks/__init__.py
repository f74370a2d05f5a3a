"""The folder of tasks that a task file lies in: its path is put here when a function of that file is loaded."""

STANDS_IN = True
__path__ = []
