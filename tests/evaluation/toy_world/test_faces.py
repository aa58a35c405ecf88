"""Identities: one person stays one person in every view, and two people differ."""

import numpy as np

from evaluation.toy_world.faces import Pose, describe, draw_identity, portrait, portrait_mask
from evaluation.toy_world.settings import VIEWS, Format, Settings
from evaluation.toy_world.world import Item, compose

SHAPE = Format(width=64, height=64, frames=8, fps=8)
GROUND = ("wall", (0.0, 0.0))
AHEAD = Pose(0.0, 0.0, 0.0)


def views(person: int) -> list:
    settings = Settings(clips=40, seed=0, frames=8, identities=3)
    return [compose(Item(stream="identity", index=person * VIEWS + view), settings) for view in range(VIEWS)]


def test_all_views_show_one_person_and_no_view_twice() -> None:
    films = views(1)
    assert len({str(film.notes["identity"]) for film in films}) == 1
    assert {film.notes["person"] for film in films} == {1}
    pictures = [film.pixels() for film in films]
    assert all((one != other).any() for i, one in enumerate(pictures) for other in pictures[:i])


def test_people_differ() -> None:
    people = [draw_identity(np.random.default_rng(seed)) for seed in range(20)]
    faces = [portrait(person, AHEAD, GROUND, SHAPE).astype(float) for person in people]
    same = [np.abs(one - other).mean() for i, one in enumerate(faces) for other in faces[:i]]
    assert min(same) > 1


def test_a_turned_face_mirrors_to_one_turned_the_other_way() -> None:
    person = draw_identity(np.random.default_rng(0))
    left = portrait(person, Pose(-0.5, 0.1, 0.0), GROUND, SHAPE).astype(float)
    right = portrait(person, Pose(0.5, 0.1, 0.0), GROUND, SHAPE).astype(float)
    head = np.s_[10:60, 8:56]  # the background has no mirror symmetry
    assert np.abs(left[head] - right[:, ::-1][head]).mean() < 8 < np.abs(left[head] - right[head]).mean()


def test_the_words_name_what_the_person_wears() -> None:
    for seed in range(20):
        person = draw_identity(np.random.default_rng(seed))
        text = describe(person)
        assert f"{person.shirt} shirt" in text
        assert f"{person.hair} hair" in text
        assert person.extra in text or person.extra == "nothing"
        assert "a orange" not in text


def test_the_mask_is_what_does_not_change_with_the_background() -> None:
    for seed in range(6):
        person, pose = draw_identity(np.random.default_rng(seed)), Pose(0.4, 0.1, 0.15)
        mask = portrait_mask(person, pose, SHAPE)
        wall, night = (portrait(person, pose, (name, (0, 0)), SHAPE) for name in ("wall", "night"))
        change = np.abs(wall.astype(int) - night).max(axis=2)
        assert change[mask].max() <= 60  # half of a pixel of background
        assert change[~mask].min() >= 20
        assert 0.2 < mask.mean() < 0.7
