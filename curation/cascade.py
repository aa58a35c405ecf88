"""The cascade: rules on what is cheap to know decide what is worth more work.

A file that fails a rule on its container is not decoded for cuts; a clip that fails a rule on its keyframes
is not decoded whole. What was skipped has no scores, and a column that says why (`STAGE_skipped`): never a
score that was not measured. The rules are settings of the stages that they guard, so that another cascade is
another result; a subset is judged as ever, and says so where it asks for a score that was skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from console import UserError
from curation.rules import Threshold
from curation.stage import Row, Stage

CHEAP = ("ingest", "split", "keyframes")  # their columns may be asked for
GUARDED = ("split", "keyframes", "visual", "motion", "embed", "faces", "audio")  # these decode


def guarded(stages: Mapping[str, Stage], rules: Sequence[Threshold]) -> dict[str, Stage]:
    """The stages, each with the rules whose scores are known before it."""
    order = list(stages)
    writer = {column: name for name, stage in stages.items() for column in stage.adds}
    ready: dict[str, Any] = dict(stages)
    for rule in rules:
        _check(rule, writer, CHEAP, stages)
    for name in GUARDED:
        before = order[: order.index(name)]
        for rule in ready[name].gates:
            _check(rule, writer, [other for other in CHEAP if other in before], stages)
        more = tuple(rule for rule in rules if writer[rule.score] in before)
        ready[name] = replace(ready[name], gates=(*ready[name].gates, *more))
    return ready


def _check(
    rule: Threshold, writer: Mapping[str, str], cheap: Sequence[str], stages: Mapping[str, Stage]
) -> None:
    if writer.get(rule.score) not in cheap:
        known = [column for name in cheap for column in stages[name].adds]
        raise UserError(
            f"cascade, rule {rule.name!r}: {rule.score} is not known before the work that it should save. "
            f"Choose from {', '.join(known)}, or put the rule into the subset."
        )


def turned_away(gates: Sequence[Threshold], row: Row) -> str | None:
    """Why a row is not worth the work: the first rule that it fails. A score that is not known turns nobody
    away."""
    for rule in gates:
        value = row[rule.score]
        if value is not None and not rule.passes(value):
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            return f"{rule.name}: {rule.score} is {shown}, not {rule.says().removeprefix(rule.score + ' ')}"
    return None
