"""Settings: shares are kept exactly, and what cannot be is said in the option's name."""

import pytest

from console import UserError
from evaluation.toy_world.settings import VIEWS, Settings
from evaluation.toy_world.spoilers import SPOILERS
from evaluation.toy_world.world import plan

WRONG = [
    ({"clips": 0}, "--clips is 0"),
    ({"seed": -1}, "--seed is -1"),
    ({"width": 63}, "--width is 63"),
    ({"height": 16}, "--height is 16"),
    ({"frames": 1}, "--frames is 1"),
    ({"fps": 0}, "--fps is 0"),
    ({"size": 1.3}, "--size 1.3 with --pace 1 and --gap 0.02 leaves sprites no room"),
    ({"pace": 0}, "--size 1 with --pace 0"),
    ({"gap": 0.08}, "--size 1 with --pace 1 and --gap 0.08 leaves sprites no room"),
    ({"gap": -0.1}, "--gap -0.1"),
    ({"spoilers": 1.5}, "--spoilers is 1.5"),
    ({"camera": -0.1}, "--camera is -0.1"),
    ({"identities": -1}, "--identities"),
    ({"identities": 50}, "Raise --clips"),
    ({"reels": 0.6, "stills": 0.6}, "Raise --clips"),
    ({"spoilers": 0.5, "stills": 0.5, "camera": 0, "reels": 0, "bounces": 0}, "lower a share"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_cannot_be_made_is_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**{"clips": 100, "seed": 0, **change})


def test_a_world_has_as_many_files_as_asked_in_the_shares_asked() -> None:
    settings = Settings(
        clips=200, seed=0, spoilers=0.2, camera=0.1, counted=0.15, stills=0.05, identities=3, edits=4
    )
    items = plan(settings)
    assert len(items) == len({item.file for item in items}) == 200
    kinds = [item.stream for item in items]
    asked = {
        "spoiler": 40,
        "camera": 20,
        "counted": 30,
        "still": 10,
        "identity": 3 * VIEWS,
        "edit": 8,
        "bounce": 10,
        "reel": 4,
    }
    assert {name: kinds.count(name) for name in asked} == asked


def test_every_kind_of_spoiler_comes_before_any_comes_twice() -> None:
    labels = [item.label for item in plan(Settings(clips=130, seed=0)) if item.kind == "spoiler"]
    assert labels == list(SPOILERS)
