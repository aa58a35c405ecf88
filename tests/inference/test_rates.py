"""Rates are counted by bucket as the prefix says them; a product takes the usual or another trained one."""

import dataclasses
import json

import pytest

from console import UserError
from inference.encode import EncodeOptions, encode
from inference.pipeline import Shape
from inference.rates import known_rates, merged, rates_of, usual_rate
from inference.run import main
from inference.shards import INDEX, read_samples, write_samples
from inference.video import read_fps
from inference.weights import load_model, save_model
from storage import hash_file

RATES = {"32x32x8": {"16": 3, "24": 5}, "48x32x8": {"16": 9}}


def test_rates_are_counted_whole_for_each_bucket_of_videos():
    clips = [("32x32x8", 23.976, 2), ("32x32x8", 24.1, 1), ("32x32x8", 16.2, 2), ("32x32x1", 30.0, 9)]
    found = rates_of(clips)
    assert found["rates"] == {"32x32x8": {"24": 3, "16": 2}}
    assert found["fps"] == 30
    assert rates_of([("32x32x8", 0.3, 1)])["fps"] == 1


def test_the_usual_rate_is_that_of_most_clips_of_the_bucket():
    assert usual_rate(RATES, "32x32x8") == 24
    assert usual_rate(RATES, "48x32x8") == 16
    assert usual_rate(RATES) == 16
    assert usual_rate(RATES, "8x8x8") is None
    assert usual_rate({}) is None
    assert known_rates(RATES, "32x32x8") == [16, 24]
    assert known_rates(RATES, "8x8x8") == [16, 24]
    assert merged([RATES, {"32x32x8": {"16": 4}}])["32x32x8"] == {"16": 7, "24": 5}


def test_a_pipeline_takes_the_rate_of_the_shape_or_the_one_that_is_asked_for(pipeline, capsys):
    facts = {**pipeline.facts, "rates": RATES, "text": {"prefix": ["fps"]}}
    model = dataclasses.replace(pipeline, facts=facts)
    one, other, unknown = (Shape(frames=8, height=32, width=width) for width in (32, 48, 64))
    assert [model.rate(shape) for shape in (one, other, unknown)] == [24, 16, 8]
    assert model.worded("a cat", one) == "FPS-24, a cat"
    asked = model.at(16.0, one)
    assert (asked.rate(one), asked.worded("a cat", one)) == (16, "FPS-16, a cat")
    assert model.at(23.976, one).worded("a cat", one) == "FPS-24, a cat"
    assert model.at(None, one) is model
    with pytest.raises(UserError, match=r"--fps 30: .* but at: 16, 24\. .*--off-bucket"):
        model.at(30.0, one)
    with pytest.raises(UserError, match=r"but at: 16\."):
        model.at(24.0, other)
    assert capsys.readouterr().err == ""
    assert model.at(30.0, one, untrained=True).worded("a cat", one) == "FPS-30, a cat"
    assert "but at: 16, 24" in capsys.readouterr().err
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="more than 0"):
            model.at(wrong, one)


def test_a_model_without_a_list_knows_its_one_rate(pipeline, capsys):
    assert pipeline.rate(pipeline.shape) == 8
    with pytest.raises(UserError, match="but at: 8"):
        pipeline.at(16.0, pipeline.shape)
    assert pipeline.at(8.0, pipeline.shape).rate(pipeline.shape) == 8
    assert "decides only how fast the clip is played" in capsys.readouterr().err


def test_fps_goes_to_the_file_the_facts_and_the_text(model_folders, tmp_path, monkeypatch):
    loaded = load_model(model_folders[1])
    facts = {**loaded.facts, "rates": {"32x32x8": {"16": 1, "24": 2}}}
    facts["text"] = {**facts["text"], "prefix": ["fps"]}
    save_model(tmp_path / "model", loaded.model, facts)
    read = []
    monkeypatch.setattr("inference.pipeline.worded", lambda *given: read.append(given[3]) or given[0])

    def make(*options):
        out = tmp_path / f"{len(read)}.mp4"
        assert main(["t2v", "a ball", "--model", str(tmp_path / "model"), "--steps", "2", "--out", str(out),
                     *options]) == 0  # fmt: skip
        return read_fps(out), json.loads(out.with_suffix(".json").read_text())["fps"], read[-1]

    assert make() == (24, 24, 24)
    assert make("--fps", "16") == (16, 16, 16)
    with pytest.raises(UserError, match="but at: 16, 24"):
        make("--fps", "12")
    assert make("--fps", "12", "--off-bucket") == (12, 12, 12)


def test_the_index_of_latents_lists_the_rates_of_its_training_clips(shards, model_folders, tmp_path):
    file = shards / "train" / "shard-000000.tar"
    samples = [
        sample._replace(files={**sample.files, "json": json.dumps(
            {**json.loads(sample.files["json"]), "fps": 7.9 + 0.05 * place}).encode()})
        for place, sample in enumerate(read_samples(file))
    ]  # fmt: skip
    write_samples(file, samples)
    index = json.loads((shards / "train" / INDEX).read_text())
    index["shards"][0] |= {"bytes": file.stat().st_size, "sha256": hash_file(file)}
    (shards / "train" / INDEX).write_text(json.dumps(index))
    encode(shards, model_folders[0], tmp_path / "out", EncodeOptions())
    for split in ("train", "val"):
        found = json.loads((tmp_path / "out" / split / INDEX).read_text())
        assert (found["fps"], found["rates"]) == (8, {"32x32x8": {"8": 6}})
