"""A request, for files that only name its type."""

from dataclasses import dataclass, field


@dataclass
class Instance:
    """One question to a model."""

    request_type: str
    doc: dict
    arguments: tuple
    idx: int
    metadata: tuple = (None, None, None)
    resps: list = field(default_factory=list)
    filtered_resps: dict = field(default_factory=dict)
