"""The rules of a subset, read from YAML. Each kind judges the whole table at once."""

import hashlib
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from jaxtyping import Bool

from console import UserError
from curation.clip import COLUMNS, error_column
from curation.listed import Listed
from curation.rule import Judged, Rule, nothing
from curation.settings import build, suggest

SKIPPED = "skipped"  # column of the score table: why the cascade measured no more of a row


@dataclass(frozen=True, kw_only=True)
class Measured(Rule):
    """Every stage named has a result for the row; a failure or a missing measurement rejects it."""

    kind: ClassVar[str] = "measured"
    measured: tuple[str, ...]

    def columns(self) -> list[str]:
        return [error_column(stage) for stage in self.measured]

    def judge(self, table: pa.Table, alive: Bool[np.ndarray, " n"]) -> Judged:
        broken = [table.column(name).is_valid().to_numpy() for name in self.columns()]
        return Judged(np.logical_or.reduce(broken), nothing(table))

    def says(self) -> str:
        return f"no error in {', '.join(self.measured)}"


@dataclass(frozen=True, kw_only=True)
class Threshold(Rule):
    """A score within bounds. A row without the score fails, unless missing is keep."""

    kind: ClassVar[str] = "score"
    score: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    equals: str | bool | float | None = None
    missing: str = "reject"
    when: str | None = None
    "A column: the rule concerns only rows where it holds one of `among`"
    among: tuple[str, ...] = ()

    SIGNS: ClassVar[dict[str, tuple[str, Callable]]] = {
        "min": (">=", operator.ge),
        "max": ("<=", operator.le),
        "above": (">", operator.gt),
        "below": ("<", operator.lt),
    }

    def __post_init__(self):
        if self.score not in COLUMNS:
            raise UserError(
                f"Rule {self.name!r}: there is no score {self.score!r}{suggest(self.score, COLUMNS)}."
            )
        if not self.bounds() and self.equals is None:
            raise UserError(f"Rule {self.name!r} has no bound. Give min, max, above, below or equals.")
        if (self.when is None) == bool(self.among) or self.when not in (None, *COLUMNS):
            raise UserError(f"Rule {self.name!r}: `when` names a column and `among` its values; give both.")
        if self.missing not in ("reject", "keep"):
            raise UserError(f"Rule {self.name!r}: missing is {self.missing!r}; it must be reject or keep.")

    def bounds(self) -> dict[str, float]:
        """The numeric bounds that are set."""
        return {key: getattr(self, key) for key in self.SIGNS if getattr(self, key) is not None}

    def columns(self) -> list[str]:
        return [self.score] if self.when is None else [self.score, self.when]

    def passes(self, value: Any) -> bool:
        """The verdict on one score that is there."""
        inside = all(self.SIGNS[key][1](value, bound) for key, bound in self.bounds().items())
        return inside and (self.equals is None or value == self.equals)

    def judge(self, table: pa.Table, alive: Bool[np.ndarray, " n"]) -> Judged:
        column = table.column(self.score)
        there, skipped = column.is_valid().to_numpy(), skipped_rows(table)
        passing = np.ones(len(table), bool)
        if self.bounds():
            values = column.cast(pa.float64()).to_numpy()
            for key, bound in self.bounds().items():
                passing &= self.SIGNS[key][1](values, bound)
        if self.equals is not None:
            passing &= self._equal(column)
        concerned = _all(table) if self.when is None else _among(table.column(self.when), self.among)
        failing = ~np.where(there, passing, self.missing == "keep") & (there | ~skipped) & concerned
        return Judged(failing, ~there & skipped & concerned)

    def _equal(self, column: pa.ChunkedArray) -> Bool[np.ndarray, " n"]:
        try:
            wanted = pa.scalar(self.equals, column.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise UserError(
                f"Rule {self.name!r}: {self.score} is never {self.equals!r}; it holds {column.type}."
            ) from error
        return pc.call_function("equal", [column, wanted]).fill_null(False).to_numpy()

    def says(self) -> str:
        parts = [f"{self.score} {self.SIGNS[key][0]} {bound:g}" for key, bound in self.bounds().items()]
        parts += [f"{self.score} is {self.equals}"] if self.equals is not None else []
        return ", ".join(parts) + (f" where {self.when} is {' or '.join(self.among)}" if self.when else "")


@dataclass(frozen=True, kw_only=True)
class Unique(Rule):
    """Of the rows left that share a value, only the best stays. Rows without the value are lone."""

    kind: ClassVar[str] = "unique"
    in_order: ClassVar[bool] = True
    unique: str
    best: str = "quality"

    def __post_init__(self):
        for name in (self.unique, self.best):
            if name not in COLUMNS:
                raise UserError(f"Rule {self.name!r}: there is no column {name!r}{suggest(name, COLUMNS)}.")

    def columns(self) -> list[str]:
        return [self.unique, self.best, "clip_id", "source"]

    def judge(self, table: pa.Table, alive: Bool[np.ndarray, " n"]) -> Judged:
        rows = np.flatnonzero(alive & table.column(self.unique).is_valid().to_numpy())
        groups = table.column(self.unique).take(pa.array(rows)).combine_chunks().dictionary_encode()
        group = groups.indices.to_numpy(zero_copy_only=False)
        rows = rows[np.bincount(group, minlength=1)[group] > 1] if len(rows) else rows  # the others are lone
        keys, best, ids, sources = (
            table.column(name).take(pa.array(rows)).to_pylist() for name in self.columns()
        )
        champion: dict[Any, tuple] = {}
        for row, key, value, clip, source in zip(rows.tolist(), keys, best, ids, sources, strict=True):
            rank = (-(value if value is not None else -np.inf), clip, source, row)
            champion[key] = min(champion.get(key, rank), rank)
        failing = np.zeros(len(table), bool)
        failing[rows] = True
        failing[[rank[-1] for rank in champion.values()]] = False
        return Judged(failing, nothing(table))

    def says(self) -> str:
        return f"best {self.best} of each {self.unique}"


@dataclass(frozen=True, kw_only=True)
class Resample(Rule):
    """Keep a row with a chance of 1/sqrt(rows left in its group), scaled so that the smallest group stays
    whole. Rows that `preserve` marks are not thinned and not counted: their frequency stays."""

    kind: ClassVar[str] = "resample"
    in_order: ClassVar[bool] = True
    resample: str
    seed: int = 0
    preserve: str | None = None
    "A column: a flag, or a number that marks a row where it is above 0"

    def __post_init__(self):
        for name in (self.resample, self.preserve or self.resample):
            if name not in COLUMNS:
                raise UserError(f"Rule {self.name!r}: there is no column {name!r}{suggest(name, COLUMNS)}.")

    def columns(self) -> list[str]:
        return [self.resample, "clip_id", *([self.preserve] if self.preserve else [])]

    def judge(self, table: pa.Table, alive: Bool[np.ndarray, " n"]) -> Judged:
        thinned = alive & ~self._preserved(table)
        rows = np.flatnonzero(thinned & table.column(self.resample).is_valid().to_numpy())
        failing, chance = np.zeros(len(table), bool), np.ones(len(table))
        if len(rows):
            groups = table.column(self.resample).take(pa.array(rows)).to_numpy()
            _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
            chance[rows] = np.sqrt(sizes.min() / sizes[group])
            clips = table.column("clip_id").take(pa.array(rows)).to_pylist()
            failing[rows] = np.array([_dice(self.seed, clip) for clip in clips]) >= chance[rows]
        return Judged(failing, nothing(table), chance)

    def _preserved(self, table: pa.Table) -> Bool[np.ndarray, " n"]:
        if self.preserve is None:
            return nothing(table)
        return table.column(self.preserve).cast(pa.float64()).fill_null(0.0).to_numpy() > 0

    def says(self) -> str:
        kept = f", all with {self.preserve}" if self.preserve else ""
        return f"chance 1/sqrt(size of {self.resample}){kept}"


@dataclass(frozen=True)
class Subset:
    """A named list of rules."""

    name: str
    rules: tuple[Rule, ...]


KINDS = (Measured, Threshold, Unique, Resample, Listed)


def read_subset(name: str | Path) -> Subset:
    """A subset by its name (configs/curation/subsets) or the path of its YAML file."""
    path = find_subset(str(name))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from error
    rules = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(rules, list):
        raise UserError(f"{path} has no list of rules.")
    return Subset(path.stem, tuple(_rule(item, path) for item in rules))


def find_subset(name: str) -> Path:
    """The YAML file of a subset."""
    folders = [
        Path("configs/curation/subsets"),
        Path(__file__).parents[1] / "configs" / "curation" / "subsets",
    ]
    for candidate in (Path(name), *(folder / f"{name}.yaml" for folder in folders)):
        if candidate.is_file():
            return candidate
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise UserError(
        f"There is no subset {name!r}{suggest(name, known)}. Known: {', '.join(known)}, or give a path."
    )


def _rule(item: Any, path: Path) -> Rule:
    where = f"{path}, rule {item.get('name', item) if isinstance(item, dict) else item}"
    kinds = [kind for kind in KINDS if isinstance(item, dict) and kind.kind in item]
    if len(kinds) != 1:
        raise UserError(f"{where}: needs exactly one of the keys {', '.join(kind.kind for kind in KINDS)}.")
    return build(kinds[0], item, where)


def _among(column: pa.ChunkedArray, values: tuple[str, ...]) -> Bool[np.ndarray, " n"]:
    return pc.call_function("is_in", [column], pc.SetLookupOptions(pa.array(values, column.type))).to_numpy()


def _all(table: pa.Table) -> Bool[np.ndarray, " n"]:
    return np.ones(len(table), bool)


def skipped_rows(table: pa.Table) -> Bool[np.ndarray, " n"]:
    """Rows that the cascade measured only in part."""
    return table.column(SKIPPED).is_valid().to_numpy() if SKIPPED in table.column_names else nothing(table)


def _dice(seed: int, clip: str) -> float:
    """A number in [0, 1) that depends on the clip and the seed, not on other rows or their order."""
    digest = hashlib.sha256(f"{seed}/{clip}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
