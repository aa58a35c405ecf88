"""Concepts of a taxonomy and the clips that show them, by text-to-clip nearest neighbours (Sec. 3.2.1, 3.3).

The paper finds clips with people by 600 human verbs and expressions, and keeps their frequency when it
resamples.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from jaxtyping import Bool, Float, Int

from console import UserError
from curation.scores.near import nearest


class Concept(NamedTuple):
    """What is looked for."""

    name: str
    text: str
    human: bool
    "Whether a clip that shows it shows a person"


class Found(NamedTuple):
    """What each clip shows."""

    concept: Int[np.ndarray, " n"]
    "The nearest of the concepts that found the clip; -1 for none"
    human: Bool[np.ndarray, " n"]
    "Whether a concept of people found it"


def read_taxonomy(path: Path) -> list[Concept]:
    """The concepts of a YAML file: groups with `prompt`, where {} is the concept, `concepts` and `human`."""
    path = find_taxonomy(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = [
            Concept(name, group["prompt"].replace("{}", name), bool(group.get("human", False)))
            for group in content["groups"].values()
            for name in group["concepts"]
        ]
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} is no taxonomy: {error!r}. It needs `groups`, each with `prompt` and a list `concepts`."
        ) from error
    if not found or any("{}" not in group["prompt"] for group in content["groups"].values()):
        raise UserError(f"{path} has no concepts, or a prompt without {{}} for them.")
    return found


def find_taxonomy(path: Path) -> Path:
    """The file, from here or from the folder of the project."""
    for candidate in (path, Path(__file__).parents[2] / path):
        if candidate.is_file():
            return candidate
    raise UserError(f"content.taxonomy is {path}, which is no file.")


def retrieve(
    clips: Float[np.ndarray, "n d"],
    texts: Float[np.ndarray, "m d"],
    human: Bool[np.ndarray, " m"],
    count: int,
    least: float,
) -> Found:
    """Each text finds the `count` clips nearest to it that have a cosine of at least `least`. Of equal clips
    the first are taken: their order must not depend on how they were found."""
    best = np.full(len(clips), -np.inf)
    concept, people = np.full(len(clips), -1), np.zeros(len(clips), bool)
    query, row, cosine = nearest(texts, clips, count)
    for text, clip, near in zip(query.tolist(), row.tolist(), cosine.tolist(), strict=True):
        if near >= least:
            people[clip] |= bool(human[text])
            if near > best[clip]:
                best[clip], concept[clip] = near, text
    return Found(concept, people)
