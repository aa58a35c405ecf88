"""Thresholds to verdicts: which clips a subset keeps, and every reason why not. A pure function of the score
table.

A subset is a YAML list of rules. Rules are applied in order, as the paper's funnel is (Fig. 9, Table 38), but
each is also asked about every clip alone, so that a row has all its reasons, and left out once, so that a
rule has its cost. Nothing is decoded: a million rows take seconds.

Two things are never passed over in silence: a rule whose score no row has, and a row that the cascade of the
run skipped before the scores that a rule asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from curation.rules import Judged, Rule, Subset, Threshold

NOT_MEASURED = "not measured"  # reason of a row that fails no rule but lacks scores that rules ask for


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
    "Clips that would be kept besides, were this rule left out"
    unknown: int = 0
    "Clips that it cannot judge, of those that were left: the cascade skipped them"
    idle: bool = False
    "No clip has the score: the rule says nothing"


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
        names = [
            rule.name for rule, failing in zip(self.subset.rules, self.fails[:, row], strict=True) if failing
        ]
        return names or ([] if self.kept[row] else [NOT_MEASURED])

    def first(self) -> list[str | None]:
        """The first failing rule of each row."""
        names = [*(rule.name for rule in self.subset.rules), NOT_MEASURED]
        every = np.concatenate([self.fails, ~self.kept[None]])
        return [
            None if kept else names[k]
            for k, kept in zip(every.argmax(axis=0).tolist(), self.kept.tolist(), strict=True)
        ]

    @property
    def unmeasured(self) -> int:
        """Rows that fail no rule and that some rule cannot judge."""
        return int((~self.kept & ~self.fails.any(axis=0)).sum())


def select(table: pa.Table, subset: Subset) -> Verdicts:
    """Apply the rules of `subset` to the score table."""
    fixed = [None if rule.in_order else rule.judge(table, _all(table)) for rule in subset.rules]
    weights, funnel, fails = np.ones(len(table)), [], []
    alive = _all(table)
    for number, rule in enumerate(subset.rules):
        judged = fixed[number] or rule.judge(table, alive)
        weights *= judged.chance
        fails.append(judged.failing)
        rejected, unknown = alive & judged.failing, alive & judged.unknown
        alive = alive & ~judged.failing & ~judged.unknown
        funnel.append(
            Step(rule.name, rule.says(), int(alive.sum()), int(rejected.sum()), int(judged.failing.sum()), 0,
                 int(unknown.sum()), idle(rule, table))
        )  # fmt: skip
    matrix = np.stack(fails) if fails else np.zeros((0, len(table)), bool)
    costs = [_kept_without(table, subset, fixed, k) - int(alive.sum()) for k in range(len(funnel))]
    steps = tuple(step._replace(alone=cost) for step, cost in zip(funnel, costs, strict=True))
    return Verdicts(subset, alive, matrix, steps, weights)


def idle(rule: Rule, table: pa.Table) -> bool:
    """Whether no row has the score that the rule looks at, or by which it spares some."""
    score = rule.score if isinstance(rule, Threshold) else getattr(rule, "preserve", None)
    return score is not None and table.column(score).null_count == len(table) > 0


def _kept_without(table: pa.Table, subset: Subset, fixed: Sequence[Judged | None], left_out: int) -> int:
    """Rows kept where one rule is left out: those that depend on the others judge once more."""
    alive = _all(table)
    for number, rule in enumerate(subset.rules):
        if number != left_out:
            judged = fixed[number] or rule.judge(table, alive)
            alive = alive & ~judged.failing & ~judged.unknown
    return int(alive.sum())


def _all(table: pa.Table) -> Bool[np.ndarray, " n"]:
    return np.ones(len(table), bool)


def columns_of(rules: Sequence[Rule]) -> list[str]:
    """The columns that the rules look at."""
    return list(dict.fromkeys(name for rule in rules for name in rule.columns()))
