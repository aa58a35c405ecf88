"""What a stage takes over from the one before: weights, if they mean the same here (Sec. 3.2.2, 3.7)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from console import UserError
from inference.tensor_files import each_tensor
from inference.weights import ModelFolder, check_tensors, open_folder
from models.transformer import Transformer, TransformerConfig
from models.transformer.grow import TABLES, Grid, grow_tables
from parallel.sharding import shard_of

SEED = 0  # of new entries of position tables, as of `inference.run grow`


@dataclass(frozen=True, kw_only=True)
class Start:
    """The stage before, and what may be another here."""

    model: str
    """Its model folder, whose weights a run begins with."""
    scale: tuple[int, int, int] = (1, 1, 1)
    """New tokens where one stood, in frames, rows and columns, when its position tables grow into
    transformer.grid; 1 only makes room behind (docs/decisions/0018)."""
    new_tae: bool = False
    """Its weights are taken though the latents here are of another TAE, to which they must get used: the
    image autoencoder of text-to-image post-training (Sec. 3.7)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(self.scale))
        if len(self.scale) != 3 or min(self.scale) < 1:
            raise ValueError(f"start.scale is {self.scale}; it needs three numbers of at least 1.")


class Before(NamedTuple):
    """The stage before, whose weights a model may take: what `open_before` let through."""

    folder: Path
    tables: dict[str, Tensor]
    """Position tables that have grown; empty where none has."""

    @torch.no_grad()
    def give(self, transformer: Transformer) -> None:
        """Copy its weights into `transformer`, whole or cut over a mesh, where each process takes its parts.

        One tensor at a time is in memory beside it. No process waits for another. Extra channels that only
        `transformer` has stay as they were built: zero, without effect.
        """
        state = transformer.state_dict()
        kept = state.keys() - self.tables.keys()
        for name, value in chain(self.tables.items(), each_tensor(self.folder, only=kept)):
            state[name].copy_(shard_of(value, state[name]))


def open_before(start: Start | str, config: TransformerConfig, facts: Mapping[str, Any]) -> Before:
    """The stage before a model of `config` that trains under `facts`; of its weights, only tables are read.

    Position tables grow by `start.scale` where `config` has larger ones. A UserError names both sides of any
    other shape, another TAE (unless `start.new_tae`), text encoder or path, and of captions without a prefix
    that those of then had.
    """
    start = Start(model=start) if isinstance(start, str) else start
    before = open_folder(start.model, expect=Transformer)
    here, there = asdict(config), asdict(before.config)
    if there["extra_channels"] == 0:
        there["extra_channels"] = here["extra_channels"]
    names = [name for name in here if here[name] != there[name] and name != "grid"]
    if names:
        differ = "; ".join(f"{name} {there[name]} there, {here[name]} here" for name in names)
        raise UserError(
            f"'{start.model}' has another shape than model.transformer: {differ}. Only its grid may grow. "
            "Change the rest in one of the two."
        )
    check_tensors(before)
    tables = _grown(before, config.grid, start)
    _check_facts(start, before.facts, facts)
    return Before(before.path, tables)


def _grown(before: ModelFolder, here: Grid, start: Start) -> dict[str, Tensor]:
    """The position tables of the model before as a grid `here` has them; empty where they are those."""
    there = before.config.grid
    if (there, start.scale) == (here, (1, 1, 1)):
        return {}
    tables = dict(each_tensor(before.path, only=TABLES))
    try:
        return grow_tables(tables, here, start.scale, torch.Generator().manual_seed(SEED))
    except ValueError as error:
        raise UserError(
            f"The position tables {list(there)} of '{start.model}' do not grow into transformer.grid "
            f"{list(here)} by model.start.scale {list(start.scale)}: {error}"
        ) from error


def _check_facts(start: Start, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    for key, part in (("tae", "TAE"), ("text", "text encoder")):
        old, new = _identity(there.get(key)), _identity(here[key])
        if old != new and not (key == "tae" and start.new_tae):
            hint = ", set model.start.new_tae where it must change," if key == "tae" else ""
            raise UserError(
                f"'{start.model}' was trained on the {part} {old}, the latents here are of {new}. "
                f"Encode the clips with the {part} of then{hint} or train without model.start."
            )
    old, new = there.get("path", "straight"), here["path"]
    if old != new:
        raise UserError(
            f"'{start.model}' was trained on the {old} path, model.path here is {new}: its velocities mean "
            f"something else. Set model.path to {old}, or train without model.start."
        )
    old, new = _prefix(there), _prefix(here)
    if _has_clips(there) and _has_clips(here) and not set(old) <= set(new):
        raise UserError(
            f"'{start.model}' was trained on captions behind {' '.join(old)}, those of the latents here are "
            f"behind {' '.join(new) or 'nothing'}. Encode the clips with --prefix {' '.join(old)}, or train "
            "without model.start."
        )


def _prefix(facts: Mapping[str, Any]) -> Sequence[str]:
    """What stands before the captions of clips."""
    text = facts.get("text")
    return text.get("prefix", ()) if isinstance(text, Mapping) else ()


def _has_clips(facts: Mapping[str, Any]) -> bool:
    """Whether not all are images, whose captions never have a prefix (docs/decisions/0041)."""
    frames = [int(bucket.rpartition("x")[2]) for bucket in facts.get("buckets", ())]
    return max([facts.get("frames", 1), *frames]) > 1


def check_resumed(there: Mapping[str, Any], here: Mapping[str, Any], *, fit: bool) -> None:
    """A checkpoint, made under the facts `there`, goes on with the same path, TAE, text encoder and, in a
    `fit`, buckets; others are a UserError that names both sides."""
    old, new = there.get("path"), here.get("path")
    if old and old != new:
        raise UserError(
            f"The checkpoint was trained on the {old} path; model.path is {new}. Set it to {old}, or begin "
            "another run."
        )
    for key, part in (("tae", "TAE"), ("text", "text encoder"), *[("buckets", "buckets")] * fit):
        old, new = there.get(key), here.get(key)
        if old is None or new is None:
            continue
        old, new = (", ".join(v) if key == "buckets" else _identity(v) for v in (old, new))
        if old != new:
            raise UserError(
                f"The checkpoint was made with the {part} {old}; the latents here have {new}. Give it the "
                "latents of then (data), or begin another run with its weights: model.start, another run_dir."
            )


def _identity(value: Any) -> str:
    return str(value["fingerprint"] if isinstance(value, Mapping) else value)[:16]
