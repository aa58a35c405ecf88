"""A whole world as a plan: which files there are and what each shows, a pure function of the settings."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from evaluation.toy_world.edits import edit_pair
from evaluation.toy_world.faces import draw_identity, identity_view
from evaluation.toy_world.film import Film, join, single
from evaluation.toy_world.scene import (
    Scene,
    draw_bounce_scene,
    draw_camera_scene,
    draw_counted_scene,
    draw_scene,
    draw_still_scene,
    is_held_out,
)
from evaluation.toy_world.settings import STREAMS, VIEWS, Settings
from evaluation.toy_world.spoilers import SPOILERS, Source

REEL_SHOTS = (3, 5)  # fewest and most clips in a reel


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file of a world."""

    stream: str
    index: int

    @property
    def kind(self) -> str:
        """Its kind in truth.jsonl."""
        return "clip" if self.stream in ("moving", "camera", "bounce", "counted") else self.stream

    @property
    def label(self) -> str | None:
        """How it is spoilt, or None."""
        if self.stream == "spoiler":
            return tuple(SPOILERS)[self.index % len(SPOILERS)]
        return "hard_cuts" if self.stream == "reel" else None

    @property
    def stem(self) -> str:
        """Its name without suffix."""
        if self.stream == "identity":
            return f"identity-{self.index // VIEWS:04d}-view-{self.index % VIEWS}"
        if self.stream == "edit":
            return f"edit-{self.index // 2:04d}-{('before', 'after')[self.index % 2]}"
        if self.stream == "spoiler":
            return f"spoiler-{self.index:05d}-{self.label}"
        return f"{self.stream}-{self.index:05d}"

    @property
    def file(self) -> str:
        """Its name: stills are images, all others are videos."""
        return self.stem + (".png" if self.stream == "still" else ".mp4")


def plan(settings: Settings) -> list[Item]:
    """All files of a world."""
    return [Item(stream=stream, index=index) for stream, n in settings.counts().items() for index in range(n)]


def compose(item: Item, settings: Settings) -> Film:
    """What the file of `item` shows. Depends on the seed, the format and the item, not on the other files."""
    if item.stream == "identity":
        person = draw_identity(_chance(settings, item.stream, item.index // VIEWS))
        film = identity_view(person, settings.shape, _chance(settings, item.stream, 10**9 + item.index))
        return replace(film, notes={"person": item.index // VIEWS, "view": item.index % VIEWS, **film.notes})
    if item.stream == "edit":
        rng = _chance(settings, item.stream, item.index // 2)
        pair = edit_pair(_draw(draw_scene, settings)(rng), settings.shape, rng, partial(_allowed, settings))
        return replace(pair[item.index % 2], notes={"pair": item.index // 2, **pair[item.index % 2].notes})
    rng = _chance(settings, item.stream, item.index)
    if item.stream == "reel":
        number = int(rng.integers(REEL_SHOTS[0], REEL_SHOTS[1] + 1))
        return join([single(_draw(draw_scene, settings)(rng), settings.shape, rng) for _ in range(number)])
    if item.stream == "spoiler":
        return SPOILERS[str(item.label)](_source(settings), rng)
    if item.stream == "still":
        image = replace(settings.shape, frames=1)
        return replace(single(_draw(draw_still_scene, settings)(rng), image, rng), sound=None)
    return _clip(item, settings)[1]


def truth(item: Item, film: Film) -> dict[str, Any]:
    """The row of truth.jsonl for a file."""
    return {
        "file": item.file,
        "caption": "; then ".join(one.text for one in film.captions),
        **asdict(film.format),
        "kind": item.kind,
        "label": item.label,
        "shots": list(film.shots),
        **film.notes,
        **({} if film.cut is None else {"kept": round(film.cut, 6)}),
    }


def _clip(item: Item, settings: Settings) -> tuple[Scene, Film]:
    draw = {
        "moving": draw_scene,
        "camera": draw_camera_scene,
        "bounce": draw_bounce_scene,
        "counted": draw_counted_scene,
    }[item.stream]
    rng = _chance(settings, item.stream, item.index)
    scene = _draw(draw, settings)(rng)
    return scene, single(scene, settings.shape, rng)


def _source(settings: Settings) -> Source:
    def copied(rng: np.random.Generator) -> tuple[str, Scene, Film]:
        item = Item(stream="moving", index=int(rng.integers(settings.counts()["moving"])))
        return item.file, *_clip(item, settings)

    return Source(
        format=settings.shape,
        moving=_draw(draw_scene, settings),
        resting=_draw(draw_still_scene, settings),
        copied=copied,
        allowed=partial(_allowed, settings),
    )


def _draw(draw: Callable[..., Scene], settings: Settings) -> Callable[[np.random.Generator], Scene]:
    return partial(draw, held_out=settings.held_out, staging=settings.staging)


def _allowed(settings: Settings, scene: Scene) -> bool:
    return is_held_out(scene) == settings.held_out


def _chance(settings: Settings, stream: str, index: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, STREAMS.index(stream), int(settings.held_out), index])
