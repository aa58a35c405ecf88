"""What a TAE's fit begins with, and what it refuses or leaves out: image weights, small crops, no numbers."""

import csv
import shutil

import pytest
import torch

from console import UserError
from inference.weights import load_model
from lightning_modules.callbacks.non_finite import NonFiniteLossError
from lightning_modules.stage_cli import run_stage
from tests.datamodules.shard_sets import write_clips
from tests.lightning_modules.conftest import write_config
from tests.models.tae.image_autoencoders import reference, save

INFLATED = {
    "halves": "inflated", "widths": [8, 16, 16, 24], "blocks": 1, "groups": 4, "latent_channels": 4,
}  # fmt: skip
COMPACT = {"halves": "compact", "widths": [8, 8, 8], "blocks": 1, "latent_channels": 4}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), train=8, val=2, bucket="32x32x8")


@pytest.fixture
def fit(clips, tmp_path, monkeypatch):
    """Runs 4 steps of a TAE with the settings and options that are given; each in the same folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(settings, *options):
        content = {
            "run_dir": "runs/tae",
            "model": {"class_path": "lightning_modules.tae.TAEModule", "init_args": settings},
            "data": {
                "class_path": "datamodules.clips.ClipData",
                "init_args": {"shards": str(clips), "batch_size": 2, "crop": 16, "memory": True},
            },
            "trainer": {"max_steps": 4, "val_check_interval": 4, "log_every_n_steps": 1},
            "samples": {"every": 0},
            "mlflow": {"enabled": False},
        }
        return run_stage(["fit", "-c", str(write_config(tmp_path / "tae.yaml", content)), *options])

    return run


def inflated(tmp_path, lr: float):
    """Settings of a TAE that begins with the weights of an image autoencoder, and that autoencoder."""
    image_model = reference(4, maps=False)
    folder = save(image_model, tmp_path / "image")
    settings = {
        "tae": INFLATED, "loss": {}, "optimizer": {"lr": lr, "weight_decay": 0.0}, "ema": 0.5,
        "inflate": str(folder),
    }  # fmt: skip
    return settings, image_model


@torch.no_grad()
def difference(image_model) -> float:
    """How far what was exported is from the image autoencoder, relative to the size of its values."""
    tae = load_model("runs/tae/model").model
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    needed = image_model.encode(image).latent_dist.mean
    latent = tae.encode(image[:, None].expand(-1, 8, -1, -1, -1)).mean
    back = image_model.decode(needed).sample
    errors = [(latent[:, 0] - needed) / needed.abs().max()]
    errors += [(tae.decode(latent) - back[:, None]) / back.abs().max()]
    return max(error.abs().max().item() for error in errors)


def test_a_fit_begins_with_the_image_autoencoder_and_so_does_its_average(fit, tmp_path):
    settings, image_model = inflated(tmp_path, lr=1e-12)
    fit(settings)
    assert difference(image_model) < 1e-5


def test_a_fit_that_goes_on_keeps_what_it_has_learned_and_needs_the_image_weights_no_more(fit, tmp_path):
    settings, image_model = inflated(tmp_path, lr=1e-2)
    whole = fit(settings, "--run_dir", "runs/whole").model.state_dict()
    fit(settings, "--trainer.max_steps", "2")
    assert difference(image_model) > 1e-3
    shutil.rmtree(settings["inflate"])
    again = fit(settings).model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.items() if "latent_" not in name)


@pytest.mark.parametrize(
    ("tae", "says"), [(INFLATED, "There is no"), (COMPACT, r"Choose tae\.halves: inflated")]
)
def test_image_weights_that_are_not_there_or_do_not_fit_are_refused_before_the_first_step(fit, tae, says):
    with pytest.raises(UserError, match=says):
        fit({"tae": tae, "loss": {}, "optimizer": {}, "inflate": "nowhere"})


@pytest.mark.parametrize("kind", ["frames", "clips"])
def test_a_crop_too_small_for_the_discriminator_is_refused_at_once_not_when_it_starts(fit, kind):
    loss = {"adversary": {"network": {"kind": kind, "layers": 3, "width": 4}, "start": 50_001}}
    with pytest.raises(UserError, match=r"at least 24 x 24 pixels; 16 x 16 came.*larger crops"):
        fit({"tae": COMPACT, "loss": loss, "optimizer": {}})


def poison(monkeypatch, bad) -> None:
    """Batches of those numbers hold a pixel that is no number."""
    from datamodules import clips

    whole, number = clips.to_model_range, iter(range(1000))

    def some(video):
        values = whole(video)
        if next(number) in bad:
            values[0, 0, 0, 0, 0] = torch.nan
        return values

    monkeypatch.setattr(clips, "to_model_range", some)


WITH_ALL = {
    "tae": COMPACT, "optimizer": {"lr": 1e-2}, "ema": 0.5,
    "loss": {"adversary": {"network": {"width": 4, "layers": 1}, "start": 0}},
}  # fmt: skip


def test_a_batch_without_numbers_is_left_out_and_counted(fit, monkeypatch):
    poison(monkeypatch, {1, 3})
    cli = fit(WITH_ALL, "--trainer.limit_val_batches", "0")
    assert all(value.isfinite().all() for value in cli.model.state_dict().values())
    steps = {state["step"].item() for state in cli.trainer.optimizers[0].state.values()}
    assert steps == {2}
    with open("runs/tae/metrics.csv", newline="") as file:
        skipped = [row["train/skipped_steps"] for row in csv.DictReader(file) if row["train/skipped_steps"]]
    assert [float(value) for value in skipped] == [0, 1, 1, 2]


def test_too_many_of_them_in_a_row_stop_the_fit_and_name_the_clips(fit, monkeypatch):
    poison(monkeypatch, {0, 2, 3})
    with pytest.raises(NonFiniteLossError, match=r"in step 4, as in 1 before it.*Clips: \w{12}, \w{12}\."):
        fit(WITH_ALL, "--trainer.limit_val_batches", "0", "--non_finite.in_a_row", "1")
