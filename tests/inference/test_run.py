"""The commands as a user types them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from console import UserError
from inference.run import main
from inference.video import read_fps, read_video


@pytest.fixture
def t2v(model_folders, tmp_path):
    """Run t2v or t2i in a temporary folder with few steps; returns the output folder."""

    def run(verb: str, *arguments: str, out: str = ""):
        target = tmp_path / "out" / out
        assert (
            main([verb, *arguments, "--model", str(model_folders[1]), "--steps", "3", "--out", str(target)])
            == 0
        )
        return target

    return run


def test_a_prompt_becomes_a_clip_with_sheet_and_facts(t2v, capsys):
    clip = t2v("t2v", "a red ball moves left", out="clip.mp4")
    assert read_video(clip).shape == (8, 32, 32, 3)
    assert read_fps(clip) == 8
    with Image.open(clip.with_suffix(".png")) as sheet:
        assert sheet.width > 8 * 100
    facts = json.loads(clip.with_suffix(".json").read_text())
    assert (facts["prompt"], facts["seed"], facts["steps"], facts["guidance"]) == (
        "a red ball moves left",
        0,
        3,
        7.5,
    )
    assert str(clip) in capsys.readouterr().out


def test_words_without_quotes_are_one_prompt(t2v):
    out = t2v("t2v", "a", "red", "ball")
    assert (out / "a-red-ball_seed0.mp4").is_file()


def test_a_prompt_file_and_a_count_give_a_file_for_each(t2v, tmp_path):
    (tmp_path / "p.txt").write_text("a red ball\na blue star\n")
    out = t2v("t2v", "--prompts", str(tmp_path / "p.txt"), "--count", "2", "--seed", "7", "--batch", "3")
    names = {f"{name}_seed{seed}" for name in ("a-red-ball", "a-blue-star") for seed in (7, 8)}
    assert {path.stem for path in out.glob("*.mp4")} == names


def test_the_same_command_again_makes_nothing_and_other_settings_make_it_anew(t2v, capsys):
    clip = t2v("t2v", "a red ball", out="clip.mp4")
    made = clip.stat().st_mtime_ns
    t2v("t2v", "a red ball", out="clip.mp4")
    assert clip.stat().st_mtime_ns == made
    assert "already" in capsys.readouterr().out
    before = clip.read_bytes()
    t2v("t2v", "a red ball", "--overwrite", out="clip.mp4")
    assert clip.stat().st_mtime_ns > made
    assert clip.read_bytes() == before
    t2v("t2v", "a red ball", "--guidance", "2", out="clip.mp4")
    assert clip.read_bytes() != before


def test_an_image_comes_from_the_same_model(t2v):
    image = t2v("t2i", "a red ball", out="ball.png")
    with Image.open(image) as pixels:
        assert np.asarray(pixels).shape == (32, 32, 3)
    assert json.loads(image.with_suffix(".json").read_text())["frames"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["t2v"], "Give one prompt"),
        (["t2v", "  "], "empty"),
        (["t2v", "a", "--prompts", "file.txt"], "Give one prompt"),
        (["t2v", "a", "--size", "64"], "--size"),
        (["t2v", "a", "--size", "640x480"], "no bucket 640x480x8"),
        (["t2v", "a", "--batch", "0"], "--batch"),
        (["t2v", "a", "--tae", "nowhere"], r"configs/tae\.yaml"),
        (["t2i", "a", "--device", "abacus"], "abacus"),
    ],
)
def test_bad_input_is_one_clear_message(t2v, arguments, message):
    with pytest.raises(UserError, match=message):
        t2v(*arguments)


def test_a_prompt_of_two_thousand_words_is_cut_with_a_warning(t2v, capsys):
    out = t2v("t2v", "ball " * 2000)
    assert "the first 64" in capsys.readouterr().err
    assert len(list(out.glob("*.mp4"))) == 1


def test_a_tae_other_than_that_of_training_is_refused_with_both_hashes(t2v, model_folders, tmp_path):
    from inference.weights import load_model, save_model
    from models.tae import TAE
    from tests.inference.conftest import TAE_CONFIG, scatter

    other = save_model(tmp_path / "other", scatter(TAE(TAE_CONFIG), seed=3), {})
    right = load_model(model_folders[0]).hash
    with pytest.raises(UserError, match=f"{right[:12]}.*{other[:12]}"):
        t2v("t2v", "a red ball", "--tae", str(tmp_path / "other"))


def test_another_text_encoder_than_in_training_is_refused(t2v, model_folders):
    path = model_folders[1] / "config.json"
    before = path.read_text()
    described = json.loads(before)
    described["facts"]["text"]["fingerprint"] = "0" * 16
    path.write_text(json.dumps(described))
    try:
        with pytest.raises(UserError, match=r"trained with 0{16}"):
            t2v("t2v", "a red ball")
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        *([verb] for verb in ("t2v", "t2i", "encode", "average")),
        *([verb] for verb in ("reconstruct", "encode-video", "decode", "statistics")),
    ],
)
def test_help_answers_at_once_with_an_example(arguments):
    command = [sys.executable, "-X", "importtime", "-m", "inference.run", *arguments, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "python -m inference.run " + (arguments or ["t2v"])[0] in result.stdout
    assert not {"torch", "numpy", "av", "cv2"} & {
        line.split("|")[-1].strip() for line in result.stderr.splitlines()
    }


def test_a_missing_model_is_one_line_and_exit_code_two(tmp_path):
    command = [
        sys.executable,
        "-m",
        "inference.run",
        "t2v",
        "a",
        "--model",
        "nowhere",
        "--out",
        str(tmp_path),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines() == [
        "error: There is no model folder 'nowhere'. Train one with: lightning fit -c configs/t2v.yaml"
    ]


def test_after_ctrl_c_the_same_command_makes_only_what_is_left(t2v, monkeypatch, tmp_path):
    from inference import products

    real, batches = products.VIDEO.generate, []

    def interrupted_in_the_second_batch(pipeline, asked, *rest):
        batches.append([request.seed for request in asked])
        if len(batches) == 2:
            raise KeyboardInterrupt
        return real(pipeline, asked, *rest)

    monkeypatch.setattr(products, "VIDEO", products.VIDEO._replace(generate=interrupted_in_the_second_batch))
    command = ("t2v", "a red ball", "--count", "4", "--batch", "2")
    with pytest.raises(KeyboardInterrupt):
        t2v(*command)
    left = tmp_path / "out"
    assert {path.name for path in left.glob("*.mp4")} == {"a-red-ball_seed0.mp4", "a-red-ball_seed1.mp4"}
    assert not [path for path in left.iterdir() if ".tmp" in path.name]
    t2v(*command)
    assert batches == [[0, 1], [2, 3], [2, 3]]
    assert len(list(left.glob("*.mp4"))) == 4
