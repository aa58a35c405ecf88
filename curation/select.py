"""Thresholds to verdicts: which clips a subset keeps, and every reason why not. A pure function of the score
table.

A subset is a YAML list of rules. Rules are applied in order, as the paper's funnel is (Fig. 9, Table 38), but
each is also asked about every clip alone, so that a row has all its reasons and a rule its cost: the clips
that nothing else rejects. Nothing is decoded: a million rows take seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from curation.rules import Rule, Subset


class Step(NamedTuple):
    """One line of the funnel."""

    rule: str
    says: str
    left: int
    rejected: int
    "By this rule, of the clips that the rules before it left"
    fails: int
    "Of all clips"
    alone: int
    "Clips that only this rule rejects: what leaving it out would bring back"


@dataclass(frozen=True)
class Verdicts:
    """What a subset says of each row of a table."""

    subset: Subset
    kept: Bool[np.ndarray, " n"]
    fails: Bool[np.ndarray, "rules n"]
    funnel: tuple[Step, ...]
    weights: np.ndarray
    "Chance with which resampling kept the row; 1 where no rule thins"

    def reasons(self, row: int) -> list[str]:
        """All rules that reject a row; the first is the one that the funnel counts it under."""
        return [
            rule.name for rule, failing in zip(self.subset.rules, self.fails[:, row], strict=True) if failing
        ]

    def first(self) -> list[str | None]:
        """The first failing rule of each row."""
        names = [rule.name for rule in self.subset.rules]
        where, failing = self.fails.argmax(axis=0).tolist(), np.asarray(self.fails.any(axis=0)).tolist()
        return [names[k] if bad else None for k, bad in zip(where, failing, strict=True)]


def select(table: pa.Table, subset: Subset) -> Verdicts:
    """Apply the rules of `subset` to the score table."""
    alive = np.ones(len(table), bool)
    weights = np.ones(len(table))
    fails, counts = [], []
    for rule in subset.rules:
        failing, weight = rule.judge(table, alive)
        weights *= weight
        fails.append(failing)
        counts.append(int(alive.sum()))
        alive &= ~failing
        counts[-1] -= int(alive.sum())
    matrix = np.stack(fails) if fails else np.zeros((0, len(table)), bool)
    lonely = matrix.sum(axis=0) == 1
    left, funnel = len(table), []
    for rule, failing, rejected in zip(subset.rules, matrix, counts, strict=True):
        left -= rejected
        funnel.append(
            Step(rule.name, rule.says(), left, rejected, int(failing.sum()), int((failing & lonely).sum()))
        )
    return Verdicts(subset, alive, matrix, tuple(funnel), weights)


def columns_of(rules: Sequence[Rule]) -> list[str]:
    """The columns that the rules look at."""
    return list(dict.fromkeys(name for rule in rules for name in rule.columns()))
