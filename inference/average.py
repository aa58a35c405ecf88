"""Model averaging: one model out of several runs, and how far apart they stand (Sec. 3.3).

The paper averages runs that differ in their data, settings and checkpoint they began from, and says neither
how many nor with which weights. Runs that began apart may have nothing between them: the distances tell.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from console import UserError
from inference.rates import merged as merged_rates
from inference.weights import LoadedModel, load_model, save_model
from models.transformer import Transformer

MEANING = ("tae", "text", "latent_mean", "latent_std", "path")  # facts that say what a model's numbers mean
WHOLE = "whole model"


class Source(NamedTuple):
    """A model folder and its share of the average."""

    folder: Path
    weight: float


class Distance(NamedTuple):
    """How two models differ in a part: `||a - b||` over the mean norm, and the cosine of a and b."""

    first: str
    second: str
    part: str
    relative: float
    cosine: float


class Averaged(NamedTuple):
    """Hash of the average's tensors, shares that sum to 1, distances, and facts that only the first has."""

    hash: str
    shares: tuple[float, ...]
    distances: tuple[Distance, ...]
    departing: tuple[str, ...]


def average_models(sources: Sequence[Source], out: Path) -> Averaged:
    """Write the weighted mean of `sources` to the model folder `out`, with the facts of the first.

    All models are in memory at once, and the mean in float64 beside them.

    Raises:
        UserError: Models of other shapes, or whose latents or texts mean other things; both are named.
    """
    shares = _shares([source.weight for source in sources])
    folders = [source.folder for source in sources]
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise UserError(f"--out {out} is one of the models to average. Give another folder.")
    models = [load_model(folder, expect=Transformer) for folder in folders]
    for folder, other in zip(folders[1:], models[1:], strict=True):
        _check_alike(folders[0], models[0], folder, other)
    states = [loaded.model.state_dict() for loaded in models]
    mean = {key: _mean([state[key] for state in states], shares) for key in states[0]}
    names = [str(folder) for folder in folders]
    distances = [
        *(d for i, j in combinations(range(len(states)), 2) for d in _distances(states, (i, j), names)),
        *(
            d
            for i in range(len(states))
            for d in _distances([states[i], mean], (0, 1), [names[i], "average"])
        ),
    ]
    departing = _departing([loaded.facts for loaded in models])
    merged = models[0].model
    merged.load_state_dict(mean)
    about = [
        {"folder": name, "hash": loaded.hash, "share": share}
        for name, loaded, share in zip(names, models, shares, strict=True)
    ]
    facts = {**models[0].facts, "average_of": about}
    if buckets := sorted({bucket for loaded in models for bucket in loaded.facts.get("buckets", ())}):
        facts["buckets"] = buckets
    if rates := merged_rates(loaded.facts.get("rates", {}) for loaded in models):
        facts["rates"] = rates
    digest = save_model(out, merged, facts)
    return Averaged(digest, shares, tuple(distances), departing)


def _shares(weights: Sequence[float]) -> tuple[float, ...]:
    if len(weights) < 2:
        raise UserError(f"An average needs at least 2 models; {len(weights)} came.")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not sum(weights) > 0:
        raise UserError(f"--weights must be at least 0 and not all 0; {' '.join(map(str, weights))} came.")
    return tuple(weight / math.fsum(weights) for weight in weights)


def _check_alike(first: Path, one: LoadedModel, second: Path, two: LoadedModel) -> None:
    pairs = [("shape", dataclasses.asdict(one.model.config), dataclasses.asdict(two.model.config))]
    facts = [{"path": "straight", **loaded.facts} for loaded in (one, two)]
    kept = [{key: each.get(key) for key in MEANING} for each in facts]
    for kind, here, there in [*pairs, ("facts", *kept)]:
        other = [key for key in here if here[key] != there.get(key)]
        if other:
            key = other[0]
            raise UserError(
                f"'{first}' and '{second}' cannot be averaged, their {kind} differ: {key} is "
                f"{_short(here[key])} in '{first}' and {_short(there.get(key))} in '{second}'. "
                "Average runs of one model on latents of one TAE and texts of one encoder."
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _mean(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor, share in zip(tensors, shares, strict=True):
        total.add_(tensor.double(), alpha=share)
    return total.to(tensors[0].dtype)


def _distances(
    states: Sequence[dict[str, Tensor]], pair: tuple[int, int], names: Sequence[str]
) -> list[Distance]:
    """Of the whole and of each of the model's children."""
    products: dict[str, list[float]] = defaultdict(lambda: [0.0] * 3)
    one, two = (states[i] for i in pair)
    for key, tensor in one.items():
        a, b = tensor.double().flatten(), two[key].double().flatten()
        inner = (float(a @ a), float(b @ b), float(a @ b))
        for part in (WHOLE, key.split(".")[0]):
            products[part] = [old + new for old, new in zip(products[part], inner, strict=True)]
    found = []
    for part, (aa, bb, ab) in products.items():
        size, apart = (math.sqrt(aa) + math.sqrt(bb)) / 2, math.sqrt(max(0.0, aa + bb - 2 * ab))
        cosine = ab / math.sqrt(aa * bb) if aa and bb else float(aa == bb)
        found.append(Distance(names[pair[0]], names[pair[1]], part, apart / size if size else 0.0, cosine))
    return found


def _departing(facts: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Facts that differ and do not change what the numbers mean; the average has those of the first."""
    own = {"buckets", "rates", "average_of", *MEANING}
    keys = sorted({key for each in facts for key in each} - own)
    return tuple(key for key in keys if any(each.get(key) != facts[0].get(key) for each in facts))
