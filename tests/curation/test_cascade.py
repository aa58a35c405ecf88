"""A cascade saves work and changes no score and no verdict."""

from pathlib import Path

import pytest

from console import UserError
from curation import pipeline
from curation.config import load as load_config
from curation.rules import Threshold, read_subset
from curation.select import select
from curation.table import load, score_columns
from tests.curation.conftest import moving, write_video

CONFIGS = Path(__file__).parents[2] / "configs" / "curation"
SUBSET = """
rules:
  - {name: whole shot, score: usable, equals: true}
  - {name: size, score: short_side, min: 60}
  - {name: busy, score: packet_bits, min: 0.06, missing: keep}
  - {name: readable, measured: [split, visual, motion, embed]}
  - {name: no still, score: frozen, max: 0.8}
"""
CASCADE = "cascade=[{name: size, score: short_side, min: 60}, {name: busy, score: packet_bits, min: 0.06}]"


@pytest.fixture
def mixed(tmp_path):
    """Clips, small clips and a still."""
    folder = tmp_path / "mixed"
    for seed in range(3):
        write_video(folder / f"large {seed}.mp4", moving(seed))
        write_video(folder / f"small {seed}.mp4", moving(seed, height=48, width=48))
    write_video(folder / "still.mp4", [moving(5)[0]] * 16)
    return folder


def scores(config, serial):
    graph = pipeline.run_tables(config, "embed", serial)
    graph = pipeline.run_tables(config, "motion", serial)
    graph = pipeline.run_tables(config, "visual", serial)
    return graph, load(graph, score_columns(graph))


def test_the_verdicts_are_the_same_and_what_was_skipped_says_why(config, serial, mixed, tmp_path):
    rules = tmp_path / "s.yaml"
    rules.write_text(SUBSET)
    light = ("keyframes.text_frames=0", "visual.text_frames=0")
    plain_config = config(*light, source=mixed, out=tmp_path / "plain")
    pipeline.run_tables(plain_config, "keyframes", serial)
    _, plain = scores(plain_config, serial)
    _, spared = scores(config(*light, CASCADE, source=mixed, out=tmp_path / "cascade"), serial)
    subset = read_subset(rules)
    of = {name: dict(zip(t.column("source").to_pylist(), t.to_pylist(), strict=True))
          for name, t in (("plain", plain), ("spared", spared))}  # fmt: skip
    kept = {
        name: {row["source"] for row, keep in zip(t.to_pylist(), select(t, subset).kept, strict=True) if keep}
        for name, t in (("plain", plain), ("spared", spared))
    }
    assert kept["plain"] == kept["spared"] == {f"large {seed}.mp4" for seed in range(3)}
    for name, row in of["spared"].items():
        if name in kept["plain"]:
            assert {k: v for k, v in row.items() if v is not None} == {
                k: v for k, v in of["plain"][name].items() if v is not None
            }
        else:
            assert row["skipped"].startswith(
                "size: short_side is 48" if "small" in name else "busy: packet_bits"
            )
            assert row["vmaf_motion"] is row["border"] is row["motion_error"] is None
    verdicts = select(spared, subset)
    assert verdicts.unmeasured == 0
    rejected = [set(verdicts.reasons(k)) for k in range(len(spared)) if not verdicts.kept[k]]
    assert all(reasons & {"size", "busy"} for reasons in rejected)


def test_a_file_that_fails_is_never_decoded(config, serial, mixed, monkeypatch):
    from curation.stages import split

    looked_at = []
    decode = split._decode
    monkeypatch.setattr(split, "_decode", lambda path: looked_at.append(path.name) or decode(path))
    pipeline.run_tables(config(CASCADE, source=mixed), "split", serial)
    assert sorted(looked_at) == ["large 0.mp4", "large 1.mp4", "large 2.mp4", "still.mp4"]


def test_another_cascade_is_another_result_and_none_runs_no_keyframes(config):
    plain, spared = pipeline.survey(config()), pipeline.survey(config(CASCADE))
    assert plain.nodes["ingest"].fingerprint == spared.nodes["ingest"].fingerprint
    assert plain.nodes["motion"].fingerprint != spared.nodes["motion"].fingerprint
    assert "keyframes" not in plain.whole()
    assert "keyframes" in spared.whole()


def test_a_cascade_on_a_score_that_needs_the_decode_is_refused(config):
    with pytest.raises(UserError, match="vmaf_motion is not known before the work"):
        pipeline.survey(config("cascade=[{name: motion, score: vmaf_motion, above: 2.0}]"))
    with pytest.raises(UserError, match="key_text is not known before"):
        pipeline.survey(config("split.gates=[{name: text, score: key_text, below: 0.6}]"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_cascades_of_the_project_ask_for_no_more_than_their_subsets(path):
    config = load_config(path, {}, [])
    asked = {
        (rule.score, tuple(rule.bounds().items()))
        for rule in read_subset(config.subset).rules
        if isinstance(rule, Threshold)
    }
    assert {(rule.score, tuple(rule.bounds().items())) for rule in config.cascade} <= asked
    assert config.stages()
