"""Results are named by prompt and seed: readable, unique, and safe as file names."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import UserError
from inference.outputs import is_made, output_paths, slug, write_clip, write_image
from inference.prompts import Request


def test_a_plain_prompt_is_its_own_name():
    assert slug("a red ball moves left") == "a-red-ball-moves-left"


@given(st.text(min_size=1, max_size=300))
def test_any_prompt_makes_a_safe_name(prompt):
    name = slug(prompt)
    assert 0 < len(name.encode()) <= 100
    assert not set(name) & set("/\\\0 .\n")


@given(
    st.lists(
        st.text(min_size=1, max_size=30).map(lambda text: " ".join(text.split())), min_size=2, max_size=2
    )
)
def test_two_prompts_never_share_a_name(prompts):
    first, second = prompts
    assert (slug(first) == slug(second)) == (first == second)


def test_long_prompts_that_begin_alike_differ_in_name():
    start = "a red ball " * 30
    assert slug(start + "left") != slug(start + "right")


def test_a_folder_gets_one_file_for_each_prompt_and_seed(tmp_path):
    asked = [Request("a red ball", 0), Request("a red ball", 1)]
    paths = output_paths(tmp_path / "made", asked, ".mp4")
    assert [path.name for path in paths] == ["a-red-ball_seed0.mp4", "a-red-ball_seed1.mp4"]
    assert (tmp_path / "made").is_dir()


def test_an_image_in_the_folder_of_a_clip_of_its_prompt_takes_no_file_of_it(tmp_path):
    (clip,), (image,) = (output_paths(tmp_path, [Request("a", 0)], suffix) for suffix in (".mp4", ".png"))
    write_clip(clip, np.zeros((2, 16, 16, 3), np.uint8), 8.0, {"prompt": "a", "seed": 0})
    write_image(image, np.zeros((16, 16, 3), np.uint8), {"prompt": "a", "frames": 1})
    assert len(list(tmp_path.iterdir())) == 5
    assert is_made(clip, {"prompt": "a", "seed": 0})


def test_a_kill_between_a_new_clip_and_its_facts_leaves_no_facts_of_the_old_one(tmp_path, monkeypatch):
    path, facts = tmp_path / "a.mp4", {"prompt": "a", "seed": 0}
    write_clip(path, np.zeros((2, 16, 16, 3), np.uint8), 8.0, facts)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("inference.outputs.contact_sheet", killed)
    with pytest.raises(KeyboardInterrupt):
        write_clip(path, np.ones((2, 16, 16, 3), np.uint8), 8.0, {**facts, "seed": 1})
    assert not is_made(path, facts)


def test_one_file_for_two_results_is_refused(tmp_path):
    with pytest.raises(UserError, match="2 results"):
        output_paths(tmp_path / "clip.mp4", [Request("a", 0), Request("a", 1)], ".mp4")


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a \.mp4 file"):
        output_paths(tmp_path / "clip.gif", [Request("a", 0)], ".mp4")


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="taken"):
        output_paths(tmp_path / "taken" / "clip.mp4", [Request("a", 0)], ".mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_the_right_to_write_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        output_paths(tmp_path / "clip.mp4", [Request("a", 0)], ".mp4")


def test_a_clip_has_a_sheet_and_its_facts_beside_it(tmp_path):
    facts = {"prompt": "a red ball", "seed": 3, "steps": 50}
    write_clip(tmp_path / "clip.mp4", np.zeros((4, 32, 32, 3), np.uint8), 8, facts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.json", "clip.mp4", "clip.png"]
    assert json.loads((tmp_path / "clip.json").read_text()) == facts


def test_a_result_counts_as_made_only_under_the_same_facts(tmp_path):
    facts = {"prompt": "a red ball", "seed": 3, "guidance": 7.5}
    path = tmp_path / "image.png"
    assert not is_made(path, facts)
    write_image(path, np.zeros((32, 32, 3), np.uint8), facts)
    assert is_made(path, facts)
    assert not is_made(path, {**facts, "seed": 4})
    path.unlink()
    assert not is_made(path, facts)
