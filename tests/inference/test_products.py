"""Options of t2v and t2i as a user gives them, on real model folders with random weights."""

import argparse
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from console import UserError
from inference import products
from inference.pipeline import Pipeline
from inference.prompts import Request
from inference.run import main
from inference.video import read_video
from models.text.ensemble import open_text
from models.text.prefix import prefixed
from tests.inference.rewriting.test_endpoint import completion, says, serving
from tests.models.text.tiny_encoders import byt5_folder


@pytest.fixture
def make(model_folders, tmp_path):
    """Run t2v or t2i into a temporary folder; returns it."""

    def run(verb: str, *arguments: str, out: str = "out"):
        target = tmp_path / out
        assert main([verb, *arguments, "--model", str(model_folders[1]), "--out", str(target)]) == 0
        return target

    return run


def test_every_setting_of_sampling_is_an_option_and_decides_the_clip(make):
    settings = [
        ["--guidance", "2"],
        ["--method", "midpoint"],
        ["--method", "dopri5", "--tolerance", "0.1"],
        ["--schedule", "linear"],
        ["--emulated", "20"],
        ["--guidance-from", "0.5"],
        ["--guidance-until", "0.02"],
        ["--negative", "a star"],
        ["--seed", "1"],
    ]
    steps = [[] if "dopri5" in each else ["--steps", "6"] for each in settings]
    clips = [
        read_video(make("t2v", "a red ball", *each, *more, out=f"{number}.mp4"))
        for number, (each, more) in enumerate(zip([*settings, []], [*steps, ["--steps", "6"]], strict=True))
    ]
    assert not [i for i, clip in enumerate(clips[:-1]) if np.array_equal(clip, clips[-1])]


def test_the_facts_beside_a_clip_name_every_setting(make):
    clip = make(
        "t2v", "a red ball", "--steps", "3", "--method", "heun", "--guidance-until", "0.4", out="c.mp4"
    )
    facts = json.loads(clip.with_suffix(".json").read_text())
    assert (facts["method"], facts["guidance_until"], facts["emulated"]) == ("heun", 0.4, 250)


def test_a_seed_gives_the_same_picture_in_a_batch_of_any_size(make, tmp_path):
    """As PNG: the codec of clips would turn a difference of rounding into several levels."""
    (tmp_path / "p.txt").write_text("a red ball\na very big blue star moves slowly to the left\na dog\n")
    common = ["--prompts", str(tmp_path / "p.txt"), "--count", "2", "--steps", "6"]
    folders = [make("t2i", *common, "--batch", size, out=f"batch{size}") for size in ("1", "3", "6")]
    names = sorted(path.name for path in folders[0].glob("*.png"))
    assert len(names) == 6
    for name in names:
        alone, *among = (np.asarray(Image.open(folder / name)).astype(int) for folder in folders)
        assert max(np.abs(alone - other).max() for other in among) <= 1


def test_previews_are_pictures_of_which_that_after_the_last_step_is_the_result(make):
    image = make("t2i", "a red ball", "--steps", "8", "--preview", "4", out="ball.png")
    previews = sorted(image.parent.glob("ball.step*.png"))
    assert [path.name for path in previews] == ["ball.step0004.png", "ball.step0008.png"]
    half, last, end = (np.asarray(Image.open(path)).astype(int) for path in (*previews, image))
    assert half.shape == end.shape == (32, 32, 3)
    assert np.abs(last - end).max() <= 1
    assert np.abs(half - end).mean() > 1


def test_a_preview_of_a_clip_is_a_sheet_of_its_frames_and_leaves_the_clip_as_it_is(make):
    plain = make("t2v", "a red ball", "--steps", "4", out="plain.mp4")
    shown = make("t2v", "a red ball", "--steps", "4", "--preview", "4", out="shown.mp4")
    assert plain.read_bytes() == shown.read_bytes()
    with Image.open(shown.with_name("shown.step0004.png")) as sheet:
        assert sheet.width > 8 * 100


def test_another_length_and_size_are_made_where_the_tables_hold_them(make):
    clip = make(
        "t2v", "a", "--steps", "2", "--size", "48x32", "--frames", "16", "--off-bucket", out="wide.mp4"
    )
    assert read_video(clip).shape == (16, 32, 48, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["t2v", "a", "--frames", "16"], "no bucket 32x32x16.*trained on: 32x32x8.*--off-bucket"),
        (["t2v", "a", "--frames", "17", "--off-bucket"], "cannot hold 32x32x17.*end at 64x64x16"),
        (["t2v", "a", "--preview", "0"], "--preview"),
        (["t2v", "a", "--method", "rk4"], "euler, midpoint, heun, dopri5"),
        (["t2v", "a", "--guidance-from", "0.9", "--guidance-until", "0.1"], "must rise"),
        (["t2v", "a", "--steps", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_sampled(make, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        make(*arguments)
    assert not list((tmp_path / "out").glob("*.*"))


def test_a_setting_without_effect_is_said(make, capsys):
    make("t2v", "a", "--steps", "2", "--tolerance", "0.1")
    assert "--tolerance has no effect" in capsys.readouterr().err
    make("t2i", "a", "--steps", "2", "--preview", "3")
    assert "--preview has no effect" in capsys.readouterr().err
    make("t2i", "a", "--steps", "2", "--preview", "2")
    assert "--preview" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prompt", "warning"),
    [
        ("\U0001f388", "does not know"),
        ('a sign that says "stop', "without its partner"),
        ("word " * 2000, "the first 64"),
    ],
)
def test_odd_prompts_become_clips_with_a_warning(make, capsys, prompt, warning):
    folder = make("t2v", prompt, "--steps", "2")
    assert warning in capsys.readouterr().err
    assert len(list(folder.glob("*.mp4"))) == 1


def test_a_prompt_that_fits_only_without_its_prefix_is_said_to_be_cut(make, capsys, monkeypatch):
    words = "word " * 62  # and two marks
    make("t2v", words, "--steps", "1")
    assert "the first 64" not in capsys.readouterr().err
    monkeypatch.setattr(Pipeline, "worded", lambda _, prompt, shape: prefixed(prompt, 8.0))
    make("t2v", words, "--steps", "1", "--overwrite")
    assert "the first 64" in capsys.readouterr().err


def test_a_rewritten_prompt_fits_the_shortest_reader_of_whole_prompts(pipeline, tmp_path, monkeypatch):
    class Echo:
        name = identity = "echo"

        def ask(self, prompt: str, words: int) -> str:
            asked.append(words)
            return prompt

    asked: list[int] = []
    monkeypatch.setattr(products, "open_rewriter", lambda *_: Echo())
    options = argparse.Namespace(rewrite="echo", rewrite_cache=tmp_path / "cache")
    byt5 = byt5_folder(tmp_path / "byt5")
    for text in (f"minilm@20+{byt5}@100:quoted", f"{byt5}@100:quoted"):
        opened = dataclasses.replace(pipeline, text=open_text(text))
        products._rewritten(options, opened, [Request(f"a ball {len(asked)}", 0)])
    assert asked == [14, 80]


@pytest.mark.parametrize("prompt", ["", "  ", "\n"])
def test_an_empty_prompt_is_refused(make, prompt):
    with pytest.raises(UserError, match="empty"):
        make("t2v", prompt)


def test_a_rewritten_prompt_decides_the_clip_and_both_prompts_stand_beside_it(
    make, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("no_proxy", "*")
    cache = ["--rewrite-cache", str(tmp_path / "cache"), "--rewrite-model", "llama", "--steps", "2"]
    with serving(says(completion("A red ball with a smooth skin. The ball rests. A green lawn."))) as server:
        clip = make("t2v", "a red ball", "--rewrite", server.url, *cache, out="new.mp4")
        url = server.url
    facts = json.loads(clip.with_suffix(".json").read_text())
    assert facts["user_prompt"] == "a red ball"
    assert facts["prompt"].startswith("A red ball with")
    assert facts["rewritten_by"].startswith("llama at 127.0.0.1")
    assert "your prompt: a red ball" in capsys.readouterr().out
    plain = make("t2v", facts["prompt"], "--steps", "2", out="plain.mp4")
    assert plain.read_bytes() == clip.read_bytes()
    folder = make("t2v", "a red ball", "--rewrite", url, *cache)  # the service is gone, the answer is kept
    assert [path.name for path in folder.glob("*.mp4")] == ["a-red-ball_seed0.mp4"]


def test_where_nobody_rewrites_the_users_prompt_is_taken_with_a_warning(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("REWRITE_API_KEY", "sk-secret")
    with serving(says(b"", 401)) as server:
        common = ["--rewrite", server.url, "--rewrite-model", "m", "--rewrite-cache", str(tmp_path / "cache")]
        clip = make("t2v", "a red ball", *common, "--steps", "2", out="c.mp4")
    text = clip.with_suffix(".json").read_text()
    assert json.loads(text)["prompt"] == "a red ball"
    assert json.loads(text)["rewritten_by"] is None
    shown = capsys.readouterr()
    assert "answers 401. Your own prompt is used" in shown.err
    assert "sk-secret" not in shown.out + shown.err + text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rewrite", "http://localhost:1/v1"], "--rewrite-model"),
        (["--rewrite", "nowhere"], "no address and no folder of a language model"),
    ],
)
def test_a_rewriter_that_cannot_be_opened_is_refused(make, arguments, message):
    with pytest.raises(UserError, match=message):
        make("t2v", "a red ball", *arguments)
