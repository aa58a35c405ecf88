"""The held-out loss is that of the clips, however they are put in batches and dealt to processes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.latent_images import LatentImages
from datamodules.latents import LatentData
from lightning_modules.loss_parts import TIMES
from lightning_modules.strategy import MeshStrategy
from parallel.mesh import MeshConfig
from tests.datamodules.shard_sets import write_latents
from tests.parallel.contracts import Spied
from tests.parallel.ranks import run_ranks
from tests.parallel.stage import trainer

SIZES = (1, 2, 8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """5 held-out videos and 3 images: on two processes each set has a last round with too few."""
    root = tmp_path_factory.mktemp("latents")
    videos = write_latents(root / "videos", train=2, val=5)
    return videos, write_latents(root / "images", train=2, val=3, buckets=("32x32x1",))


def measured(videos: Path, images: Path | None, size: int, world: int) -> dict[str, float]:
    """What validating weights that are not zero logs."""
    torch.manual_seed(0)
    stage = Spied()
    for model in (stage.transformer, stage.exported_model()):
        with torch.no_grad():
            for place, weight in enumerate(model.parameters()):
                weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(place)))
    beside = LatentImages(share=0.5, latents=str(images), batch_size=size) if images else LatentImages()
    data = LatentData(latents=str(videos), batch_size=size, memory=True, images=beside)
    mesh = MeshConfig(dp_shard=world).over(world)
    runner = trainer(MeshStrategy(mesh=mesh, timeout=60), world)
    (logged,) = runner.validate(stage, data, verbose=False)
    return logged


def measured_on(rank: int, folders: tuple[Path, Path], world: int) -> dict[Any, dict[str, float]]:
    """For batches of each size; and of videos without images, as "videos"."""
    found: dict[Any, dict[str, float]] = {size: measured(*folders, size, world) for size in SIZES}
    return {**found, "videos": measured(folders[0], None, 2, world)}


def test_batches_and_processes_change_no_held_out_loss_and_images_none_of_videos(folders):
    (one,) = run_ranks(1, measured_on, folders, 1)
    two = run_ranks(2, measured_on, folders, 2)
    expected, videos = one[1], one.pop("videos")
    parts = {f"val/loss_of_times/{part + 1}_of_{TIMES}" for part in range(TIMES)}
    buckets = {"val/loss_of_bucket/32x32x16", "val/loss_of_bucket/32x32x1"}
    assert expected.keys() == {"val/loss", "val/loss_images"} | parts | buckets
    for found in (one, *two):
        assert found.pop("videos", videos) == pytest.approx(videos, rel=1e-5)
        for size, logged in found.items():
            assert logged == pytest.approx(expected, rel=1e-5), size
    assert expected["val/loss"] == pytest.approx(videos["val/loss"], rel=1e-5)
    assert expected["val/loss_images"] != pytest.approx(videos["val/loss"], rel=1e-2)
