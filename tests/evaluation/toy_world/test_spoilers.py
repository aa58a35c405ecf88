"""Spoilers: each file has the fault of its label."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from evaluation.toy_world.film import Film
from evaluation.toy_world.scene import is_held_out
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.spoilers import BAR, CUTS, SLIDES, SPOILERS
from evaluation.toy_world.world import Item, compose
from evaluation.toy_world.write import write_film

SETTINGS = Settings(clips=100, seed=0)
LABELS = tuple(SPOILERS)


def spoilt(label: str, number: int = 0, settings: Settings = SETTINGS) -> Film:
    """The `number`th file of a world that is spoilt as `label` says."""
    return compose(Item(stream="spoiler", index=LABELS.index(label) + number * len(LABELS)), settings)


def original(film: Film) -> Film:
    """The file of which `film` is a near-duplicate."""
    stream, index = Path(film.notes["source"]).stem.split("-")
    return compose(Item(stream=stream, index=int(index)), SETTINGS)


def changes(clip: np.ndarray) -> np.ndarray:
    """Mean difference of each frame from the one before it."""
    return np.abs(np.diff(clip.astype(float), axis=0)).mean(axis=(1, 2, 3))


@pytest.mark.parametrize("label", LABELS)
def test_every_spoiler_has_the_format_of_the_world(label: str) -> None:
    film = spoilt(label)
    assert film.pixels().shape == (16, 64, 64, 3)
    assert film.format == SETTINGS.shape
    assert film.shots[-1]["end_frame"] == 16


@pytest.mark.parametrize("label", LABELS)
def test_no_spoiler_shows_what_is_held_out(label: str) -> None:
    class Names:
        def __init__(self, shot: dict) -> None:
            self.combination = shot["shape"], shot["colour"], shot["direction"], shot["background"]

    for number in range(5):
        assert not any(is_held_out(Names(shot)) for shot in spoilt(label, number).shots)  # type: ignore[arg-type]


def test_hard_cuts_change_the_picture_where_the_truth_says() -> None:
    film = spoilt("hard_cuts")
    starts = [shot["start_frame"] for shot in film.shots]
    assert len(starts) == CUTS
    change = changes(film.pixels())
    largest = np.argsort(change)[-(CUTS - 1) :] + 1
    assert sorted(largest) == starts[1:]


def test_a_fade_is_dark_between_its_shots_and_light_at_both_ends() -> None:
    film = spoilt("fade")
    light = film.pixels().mean(axis=(1, 2, 3))
    middle = film.shots[1]["start_frame"]
    assert light[[middle - 1, middle]].max() < 0.2 * light.max()
    assert np.all(np.diff(light[middle:]) >= -1)


@pytest.mark.parametrize(("label", "axis"), [("letterbox", 1), ("pillarbox", 2)])
def test_bars_are_black_and_as_wide_as_the_truth_says(label: str, axis: int) -> None:
    film = spoilt(label)
    lines = film.pixels().max(axis=tuple({0, 1, 2, 3} - {axis}))
    bar = film.notes["bars"]["rows" if axis == 1 else "columns"]
    assert bar == pytest.approx(64 * BAR, abs=2)
    assert lines[:bar].max() == lines[-bar:].max() == 0
    assert lines[bar:-bar].min() > 0


def test_burnt_in_text_is_black_and_white_and_stands_still() -> None:
    film = spoilt("text")
    clip = film.pixels().astype(int)
    plain = clip.max(axis=-1) - clip.min(axis=-1) < 12
    extreme = plain & ((clip.min(axis=-1) > 225) | (clip.max(axis=-1) < 40))
    assert extreme.all(axis=0).mean() > 0.04
    assert film.notes["text"]


def test_nothing_happens_in_a_static_file() -> None:
    assert changes(spoilt("static").pixels()).max() == 0


def test_a_slideshow_changes_only_between_its_slides() -> None:
    film = spoilt("slideshow")
    change = changes(film.pixels())
    assert [shot["start_frame"] for shot in film.shots][1:] == list(np.flatnonzero(change) + 1)
    assert len(film.shots) == SLIDES


def test_a_shaking_camera_changes_the_picture_more_than_the_sprite_does() -> None:
    for number in range(5):
        film = spoilt("shake", number)
        calm = compose(Item(stream="moving", index=number), SETTINGS)
        if film.shots[0]["background"] != "wall":
            assert changes(film.pixels()).mean() > 1.2 * changes(calm.pixels()).mean()


def test_a_mirrored_copy_is_the_mirror_image_and_says_so() -> None:
    film = spoilt("duplicate_mirrored")
    source = original(film)
    assert (film.pixels() == source.pixels()[:, :, ::-1]).all()
    opposite = {"left": "right", "right": "left"}
    way = source.shots[0]["direction"]
    assert film.shots[0]["direction"] == opposite.get(way, way)


def test_a_reencoded_copy_has_the_same_picture_in_fewer_bytes(tmp_path: Path) -> None:
    film = spoilt("duplicate_reencoded")
    source = original(film)
    assert (film.pixels() == source.pixels()).all()
    for one, name in ((film, "copy.mp4"), (source, "source.mp4")):
        write_film(one, tmp_path / name)
    assert (tmp_path / "copy.mp4").stat().st_size < (tmp_path / "source.mp4").stat().st_size
    assert np.abs(decode(tmp_path / "copy.mp4").astype(float) - decode(tmp_path / "source.mp4")).mean() < 8


def test_a_cropped_copy_shows_the_same_things_larger() -> None:
    film = spoilt("duplicate_cropped")
    source = original(film)
    assert film.shots == source.shots
    assert 0 < np.abs(film.pixels().astype(float) - source.pixels()).mean() < 40


def test_a_variable_frame_rate_has_uneven_stamps_in_the_file(tmp_path: Path) -> None:
    film = spoilt("variable_frame_rate")
    write_film(film, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stamps = [frame.time for frame in container.decode(video=0)]
    assert stamps == pytest.approx(film.stamps, abs=1e-4)
    steps = np.diff(stamps)
    assert steps.max() > 1.5 * steps.min()


@pytest.mark.parametrize("number", range(3))
def test_a_truncated_file_opens_and_breaks_off_before_its_end(tmp_path: Path, number: int) -> None:
    film = spoilt("truncated", number)
    write_film(replace(film, cut=None), tmp_path / "whole.mp4")
    write_film(film, tmp_path / "clip.mp4")
    assert len(decode(tmp_path / "whole.mp4")) == film.format.frames
    assert 0 < len(decode(tmp_path / "clip.mp4")) < film.format.frames
    assert (tmp_path / "whole.mp4").read_bytes().startswith((tmp_path / "clip.mp4").read_bytes())


def decode(path: Path) -> np.ndarray:
    """The frames that can be decoded."""
    frames = []
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                frames.append(frame.to_ndarray(format="rgb24"))
        except av.FFmpegError:
            pass
    return np.stack(frames)
