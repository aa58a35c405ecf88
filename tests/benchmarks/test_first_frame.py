"""The measurement of first frames: its three numbers are of the pictures that it says."""

import dataclasses

import numpy as np
import pytest

from benchmarks.first_frame import held_out, measure
from console import UserError
from evaluation.metrics import psnr
from inference.clips import Frames
from inference.pipeline import Pipeline
from models.conditioning.first_frame import channels
from models.tae import TAE
from models.transformer import Transformer
from tests.inference.conftest import (
    TAE_CONFIG,
    Letters,
    clip_bytes,
    make_index,
    make_shard,
    scatter,
    t2v_facts,
    transformer,
)


@pytest.fixture
def pipeline() -> Pipeline:
    config = dataclasses.replace(transformer(Letters.width).config, extra_channels=channels(4))
    return Pipeline(
        transformer=scatter(Transformer(config), seed=1),  # pyright: ignore[reportArgumentType]
        tae=scatter(TAE(TAE_CONFIG), seed=0),  # pyright: ignore[reportArgumentType]
        text=Letters(),
        facts={**t2v_facts("tae", "nowhere", {}), "sampling": {"steps": 2, "guidance": 2.0}},
    )


def test_the_pictures_compared_are_first_frames_with_and_without_and_through_the_tae(
    pipeline, tmp_path, monkeypatch
):
    clips = [
        Frames(str(n), np.full((8, 32, 32, 3), 60 + n, np.uint8), b"", {"caption": f"clip {n}"})
        for n in range(3)
    ]

    def made(_, asked, sampling):
        """Exact where the image was given, off by ten where not."""
        level = [60 + request.seed + (0 if request.image else 10) for request in asked]
        return np.stack([np.full((8, 32, 32, 3), value, np.uint8) for value in level])

    monkeypatch.setattr("benchmarks.first_frame.generate", made)
    kept = measure(pipeline, clips, tmp_path, batch=2)
    off = psnr(np.full((1, 2, 2, 3), 70, np.uint8), np.full((1, 2, 2, 3), 60, np.uint8))
    assert kept.free == pytest.approx(off, abs=0.1)
    assert kept.given > 60
    assert kept.ceiling < kept.given
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_a_real_model_is_measured(pipeline, tmp_path):
    clips = [Frames("a", np.full((8, 32, 32, 3), 90, np.uint8), b"", {"caption": "a"})]
    kept = measure(pipeline, clips, tmp_path, batch=4)
    assert kept.given != kept.free


def test_clips_of_another_bucket_are_left_out_and_none_at_all_is_an_error(pipeline, tmp_path):
    row = make_shard(
        tmp_path / "val", "shard-000000.tar", [(f"c{n}", clip_bytes(n, tmp_path)) for n in range(3)]
    )
    make_index(tmp_path / "val", [row])
    assert len(held_out(tmp_path / "val", pipeline, 2)) == 2
    make_index(tmp_path / "val", [{**row, "bucket": "64x64x8"}])
    with pytest.raises(UserError, match="no clip of 32x32x8"):
        held_out(tmp_path / "val", pipeline, 2)
