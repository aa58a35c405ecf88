"""What every kind of rule of a subset has, and what it says of a table."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float


class Judged(NamedTuple):
    """What one rule says of every row."""

    failing: Bool[np.ndarray, " n"]
    unknown: Bool[np.ndarray, " n"]
    "Rows whose score was not measured because the cascade skipped them: neither pass nor fail"
    chance: Float[np.ndarray, " n"] | float = 1.0
    "With which resampling kept the others"


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """Rejects some rows; `name` is the reason that they carry."""

    in_order: ClassVar[bool] = False
    "Whether what it says of a row depends on which rows the rules before it left"
    name: str

    @abstractmethod
    def columns(self) -> list[str]:
        """What it looks at."""

    @abstractmethod
    def judge(self, table: pa.Table, alive: Bool[np.ndarray, " n"]) -> Judged:
        """The verdict of the rule alone. `alive`: rows that the rules before it left."""

    @abstractmethod
    def says(self) -> str:
        """The rule in a few words, for the funnel."""


def nothing(table: pa.Table) -> Bool[np.ndarray, " n"]:
    """No row."""
    return np.zeros(len(table), bool)
