"""Edit pairs: the instruction names the one thing in which the two clips differ."""

import numpy as np

from evaluation.toy_world.score import measure
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.world import Item, compose

SETTINGS = Settings(clips=60, seed=0, edits=12)
PLACES = {"wall": "wall", "sky": "sky", "grass": "grass", "sand": "sand", "night": "night"}


def pairs() -> list:
    return [
        [compose(Item(stream="edit", index=2 * i + side), SETTINGS) for side in (0, 1)] for i in range(12)
    ]


def test_the_truth_differs_in_the_edited_property_alone() -> None:
    for before, after in pairs():
        (one,), (other,) = before.shots, after.shots
        assert [name for name in one if one[name] != other[name]] == [before.notes["edit"]]
        assert before.notes["instruction"] == after.notes["instruction"]
        assert (before.notes["role"], after.notes["role"]) == ("before", "after")


def test_the_instruction_names_the_new_value() -> None:
    for _, after in pairs():
        value = after.shots[0][after.notes["edit"]]
        assert PLACES.get(value, value) in after.notes["instruction"]


def test_an_edit_of_the_sprite_leaves_the_background_as_it_was() -> None:
    for before, after in pairs():
        if before.notes["edit"] == "background":
            continue
        one, other = before.pixels(), after.pixels()
        changed = (one != other).any(axis=-1)
        assert 0 < changed.mean() < 0.2
        assert (before.sound() == after.sound()).all()


def test_the_measured_clips_differ_as_the_truth_does() -> None:
    for before, after in pairs()[:6]:
        for film in (before, after):
            seen, shot = measure(film.pixels()), film.shots[0]
            for name in ("colour", "shape", "background", "direction"):
                assert getattr(seen, name) == shot[name]


def test_edits_are_of_several_kinds() -> None:
    assert len({before.notes["edit"] for before, _ in pairs()}) >= 3
    assert len(np.unique([before.notes["pair"] for before, _ in pairs()])) == 12
