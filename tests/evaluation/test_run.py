"""The commands that measure, on a cast with random weights and clips of the toy world."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from console import UserError
from evaluation.run import main
from evaluation.toy_world.render import render
from evaluation.toy_world.scene import draw_scene
from inference.shards import INDEX, Sample, write_samples
from inference.t2v import to_pixels, to_values
from inference.video import read_video, write_video
from inference.weights import load_model, save_model
from models.tae import TAE, TAEConfig
from models.text import open_text_encoder
from models.transformer import Transformer, TransformerConfig
from storage import hash_file, write_json
from tests.evaluation.metrics.onnx_files import write_mean_colour

SIZE, FRAMES = 32, 8
"""Small, for speed: what is tested is the bookkeeping, not the toy world's score."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders tae/ and t2v/, and the folder val/ of three clips."""
    root = tmp_path_factory.mktemp("runs")
    tae = TAE(TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1, latent_channels=4))
    with torch.no_grad():
        tae.decoder.out.weight.mul_(0.05)  # pale pictures, none of whose values is cut off
    digest = save_model(root / "tae" / "model", tae, {})
    text = open_text_encoder("minilm", 64)
    facts = {
        "tae": digest,
        "tae_path": str(root / "tae" / "model"),
        "text": {"encoder": "minilm", "fingerprint": text.fingerprint, "max_tokens": 64},
        "fps": 8.0,
        "frames": FRAMES,
        "size": [SIZE, SIZE],
        "latent_mean": [0.0] * 4,
        "latent_std": [1.0] * 4,
    }
    config = TransformerConfig(
        width=16,
        layers=1,
        heads=2,
        feed_forward=32,
        latent_channels=4,
        grid=(1, 2, 2),
        text_widths=(text.width,),
    )
    save_model(root / "t2v" / "model", Transformer(config), facts)
    rng = np.random.default_rng(0)
    samples = []
    for number in range(3):
        write_video(root / "clip.mp4", render(draw_scene(rng), SIZE, SIZE, FRAMES, 8), 8)
        about = {"clip_id": f"c{number}", "caption": f"clip {number}", "fps": 8.0}
        samples.append(
            Sample(
                f"c{number}", {"mp4": (root / "clip.mp4").read_bytes(), "json": json.dumps(about).encode()}
            )
        )
    path = root / "val" / "shard-000000.tar"
    write_samples(path, samples)
    row = {
        "file": path.name,
        "samples": 3,
        "bytes": path.stat().st_size,
        "sha256": hash_file(path),
        "bucket": "32x32x8",
    }
    write_json(path.with_name(INDEX), {"format": 1, "shards": [row], "samples": 3, "buckets": {"32x32x8": 3}})
    return root


def run_tae(runs, *more: str) -> dict:
    out = runs / "tae" / "eval.json"
    assert (
        main(["tae", "--model", f"{runs}/tae/model", "--shards", f"{runs}/val", "--out", str(out), *more])
        == 0
    )
    return json.loads(out.read_text())


def test_reconstructions_are_scored_and_shown_beside_their_originals(runs, capsys):
    result = run_tae(runs)
    assert result["count"] == 3
    values = [row["psnr"] for row in result["clips"]]
    assert result["psnr"]["mean"] == pytest.approx(np.mean(values))
    assert result["psnr"]["worst"] == values[0] == min(values)
    assert f"PSNR {result['psnr']['mean']:.2f} dB" in capsys.readouterr().out
    assert [row["psnr"] for row in result["videos"]] == values
    tae = load_model(runs / "tae" / "model", TAE).model
    for row in result["videos"]:
        pair = read_video(runs / "tae" / row["file"])
        assert pair.shape == (FRAMES, SIZE, 2 * SIZE + 4, 3)
        original, shown = pair[:, :, :SIZE], pair[:, :, -SIZE:]
        expected = to_pixels(tae.decode(tae.encode(to_values(original[None])).mean, frames=FRAMES))[0]
        light = np.array([0.2126, 0.7152, 0.0722])  # of BT.709; colour is halved by the codec
        assert np.abs(shown @ light - expected @ light).mean() < 3


def test_a_peer_and_a_user_s_extractor_are_compared_on_the_same_clips(runs, capsys):
    network = write_mean_colour(runs / "mean.onnx", ["n", 3, "h", "w"], (2, 3))
    result = run_tae(runs, "--peer", f"again={runs}/tae/model", "--frames-network", str(network))
    ours, again = result["comparison"]["rows"]
    assert again == {**ours, "autoencoder": "again"}
    assert ours["psnr"] == pytest.approx(result["psnr"]["mean"])
    assert ours["perceptual"] == pytest.approx(result["perceptual"]["mean"])
    assert ours["rfid_like"] > 0
    assert "rFID-like (mean.onnx)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--peer", "wan"], "--peer takes NAME=FOLDER, as wan=/models/wan; 'wan' came"),
        (["--peer", "tae=x"], "cannot be called 'tae'"),
        (["--lpips", "vgg", "nowhere.pth"], "no weight file 'nowhere.pth'"),
        (["--lpips", "resnet", "x"], "--lpips takes vgg or alex.*'resnet' came"),
        (["--levels", "1", "1"], "black and white to differ"),
    ],
)
def test_what_cannot_be_compared_with_is_named(runs, options, told):
    with pytest.raises(UserError, match=told):
        run_tae(runs, *options)


def test_a_limit_takes_the_first_clips(runs):
    assert run_tae(runs, "--limit", "2")["count"] == 2
    with pytest.raises(UserError, match="--limit"):
        run_tae(runs, "--limit", "0")


@pytest.fixture(scope="module")
def measured(runs):
    """The result of four held-out prompts."""
    out = runs / "t2v" / "eval"
    command = ["t2v", "--model", f"{runs}/t2v/model", "--prompts", "4", "--steps", "2", "--out", str(out)]
    assert main(command) == 0
    return command, out, json.loads((out / "eval.json").read_text())


def test_each_prompt_has_a_clip_a_seed_of_its_own_and_a_verdict(measured):
    _, out, result = measured
    assert [row["seed"] for row in result["clips"]] == [0, 1, 2, 3]
    for row in result["clips"]:
        assert read_video(out / row["file"]).shape == (FRAMES, SIZE, SIZE, 3)
        assert row["expected"].keys() == row["measured"].keys() == result["accuracy"].keys()
    assert (out / "clips.png").is_file()


def test_accuracy_is_the_share_of_right_verdicts(measured):
    result = measured[2]
    for name, rate in result["accuracy"].items():
        right = [row["measured"][name] == row["expected"][name] for row in result["clips"]]
        assert rate == pytest.approx(np.mean(right))
        assert 0 < result["chance"][name] < 1


def test_verdicts_are_counted_for_each_thing_that_was_asked(measured):
    result = measured[2]
    for name, choices in result["by_choice"].items():
        shares = [tuple(map(int, share.split("/"))) for share in choices.values()]
        assert sum(asked for _, asked in shares) == sum(name in row["expected"] for row in result["clips"])
        assert sum(right for right, _ in shares) / sum(asked for _, asked in shares) == pytest.approx(
            result["accuracy"][name]
        )
        wanted = {str(row["expected"][name]) for row in result["clips"]}
        assert set(choices) == wanted


def test_shares_of_prompts_that_are_more_than_all_are_refused(measured):
    command, *_ = measured
    with pytest.raises(UserError, match=r"together 1 at most; 0\.6 and 0\.5 came"):
        main([*command, "--camera", "0.6", "--counted", "0.5"])


def test_clips_of_a_slow_world_are_measured_by_its_pace(measured, tmp_path):
    command, *_ = measured
    rates = []
    for place, pace in enumerate(("0.4", "1")):
        out = tmp_path / str(place)
        assert main([*command, "--out", str(out), "--size", "0.9", "--gap", "0.03", "--pace", pace]) == 0
        rates.append(json.loads((out / "eval.json").read_text()))
    made = {"size": 0.9, "gap": 0.03}
    assert [each["staging"] for each in rates] == [{**made, "pace": 0.4}, {**made, "pace": 1.0}]
    assert all(each["true_clips"]["direction"] == 1 for each in rates)
    with pytest.raises(UserError, match=r"--size 3 with --pace 1 and --gap 0.02 leaves sprites no room"):
        main([*command, "--size", "3"])


def test_the_same_command_again_keeps_the_clips(measured):
    command, out, before = measured
    times = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()} == times
    again = json.loads((out / "eval.json").read_text())
    assert again["clips"] == before["clips"]
    assert again["true_clips"] == before["true_clips"]


def test_results_say_where_and_how_they_were_measured(measured):
    facts = measured[2]["run"]
    assert facts["cores"] >= 1
    assert facts["command"].startswith("python ")
    assert facts["time"].endswith("+00:00")


def test_a_report_of_these_runs_lacks_curation_alone(runs, measured, capsys):
    run_tae(runs)
    out = runs / "report" / "index.html"
    options = ["--curation", f"{runs}/none", "--tae", f"{runs}/tae", "--t2v", f"{runs}/t2v"]
    assert main(["report", "--out", str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert printed.count("not there yet") == 1
    assert "python -m curation.run" in printed
    assert out.read_text().count("<video") == 3 + 4


@pytest.mark.parametrize("verb", ["tae", "t2v"])
def test_a_missing_model_names_the_command_that_trains_it(tmp_path, verb):
    with pytest.raises(UserError, match=rf"lightning fit -c configs/{verb}\.yaml"):
        main([verb, "--model", str(tmp_path / "none"), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("arguments", [[], ["tae"], ["t2v"], ["report"]])
def test_help_answers_at_once_with_an_example(arguments):
    command = [sys.executable, "-X", "importtime", "-m", "evaluation.run", *arguments, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "python -m evaluation.run " + (arguments or ["tae"])[0] in result.stdout
    assert not {"torch", "numpy", "av", "cv2"} & {
        line.split("|")[-1].strip() for line in result.stderr.splitlines()
    }
