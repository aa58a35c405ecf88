"""Training the TAE with all it has: it goes on exactly where it stopped, and says what it has measured."""

import json

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from lightning_modules import stage_cli
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.run_folder import RunFolder
from lightning_modules.sealed import remove_checkpoint
from lightning_modules.stage_cli import run_stage
from lightning_modules.tae import TAEModule
from lightning_modules.tae_objective import AdversaryConfig, TAELossConfig
from models.tae import TAEConfig
from models.tae.discriminator import DiscriminatorConfig
from models.tae.moments import LatentMoments
from tests.datamodules.shard_sets import write_clips
from tests.lightning_modules.conftest import write_config
from tests.parallel.stage import Batches

LOSS = {
    "outlier": 0.1,
    "adversary": {
        "network": {"kind": "clips", "width": 4, "layers": 2},
        "start": 2,
        "matching": 0.1,
        "optimizer": {"lr": 1e-3, "warmup": 2},
    },
}


class Stop(Callback):
    """Ends a fit with an error between two steps, which saves it."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            raise RuntimeError("the power went off")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), train=8, val=3, bucket="32x32x8")


@pytest.fixture
def config(clips, tmp_path, monkeypatch):
    """6 steps of a TAE with a discriminator from the third on, clipping, warm-up, an average and images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shape = {"halves": "compact", "widths": [8, 8, 8], "blocks": 1, "latent_channels": 4}
    return write_config(
        tmp_path / "tae.yaml",
        {
            "run_dir": "runs/tae",
            "model": {
                "class_path": "lightning_modules.tae.TAEModule",
                "init_args": {
                    "tae": shape, "loss": LOSS, "ema": 0.9,
                    "optimizer": {"lr": 1e-2, "warmup": 3, "decay": "cosine"},
                },
            },
            "data": {
                "class_path": "datamodules.clips.ClipData",
                "init_args": {"shards": str(clips), "batch_size": 2, "crop": 16, "memory": True},
            },
            "trainer": {
                "max_steps": 6, "val_check_interval": 4, "log_every_n_steps": 1, "gradient_clip_val": 0.5,
            },
            "checkpoint": {"every": 100},
            "samples": {"every": 0},
            "mlflow": {"enabled": False},
        },
    )  # fmt: skip


def fit(config, *options):
    return run_stage(["fit", "-c", str(config), *options])


def stopped(config, step, monkeypatch):
    """The same fit, which an error ends before `step`."""
    own = stage_cli.GracefulStop

    class Both(own):
        on_train_batch_start = Stop(step).on_train_batch_start

    monkeypatch.setattr(stage_cli, "GracefulStop", Both)
    with pytest.raises(RuntimeError, match="power"):
        fit(config)
    monkeypatch.setattr(stage_cli, "GracefulStop", own)


@pytest.mark.parametrize("step", [1, 4])  # before the discriminator's start, and after
def test_weights_moments_average_and_schedules_go_on_bit_exactly(config, step, monkeypatch):
    whole = fit(config, "--run_dir", "runs/whole")
    stopped(config, step, monkeypatch)
    assert RunFolder("runs/tae").newest() == RunFolder("runs/tae").checkpoint(step)
    second = fit(config)
    first_state, second_state = whole.model.state_dict(), second.model.state_dict()
    assert any(name.startswith("objective.discriminator") for name in first_state)
    assert any(name.startswith("average.") for name in first_state)
    for name, value in first_state.items():
        assert torch.equal(value, second_state[name]), name
    ours, theirs = (cli.trainer.optimizers[0].state_dict() for cli in (whole, second))
    assert ours["param_groups"] == theirs["param_groups"]
    assert len(ours["state"]) == len(list(whole.model.model.parameters())) + len(
        list(whole.model.objective.parameters())
    )
    for index, moments in ours["state"].items():
        assert all(torch.equal(value, theirs["state"][index][name]) for name, value in moments.items())


def test_the_discriminators_moments_begin_at_its_start(config):
    optimizer = fit(config).trainer.optimizers[0]
    steps = {
        index: {optimizer.state[weight]["step"].item() for weight in group["params"]}
        for index, group in enumerate(optimizer.param_groups)
    }
    assert steps == {0: {6}, 1: {6}, 2: {4}, 3: {4}}


def test_what_is_exported_is_the_average_with_the_statistics_of_its_own_latents(config, clips):
    from inference.weights import load_model

    cli = fit(config)
    loaded = load_model("runs/tae/model")
    average = cli.model.average.module
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, average.state_dict()[name]), name
    assert not torch.equal(loaded.model.decoder.out.weight, cli.model.model.decoder.out.weight)
    latents = []
    for batch in cli.datamodule.val_dataloader():
        video = cli.datamodule.on_after_batch_transfer(batch, 0)["video"]
        latents.append(loaded.model.encode(video).mean.detach().transpose(1, 2).flatten(3).flatten(2))
    values = torch.cat([each.transpose(0, 1).flatten(1) for each in latents], dim=1)
    torch.testing.assert_close(torch.tensor(loaded.facts["latent_mean"]), values.mean(dim=1))
    torch.testing.assert_close(torch.tensor(loaded.facts["latent_std"]), values.std(dim=1, correction=0))
    assert (loaded.facts["latent_step"], loaded.facts["step"]) == (6, 6)
    assert (loaded.facts["frames"], loaded.facts["size"], loaded.facts["fps"]) == (8, [32, 32], 8.0)


def test_a_checkpoint_between_validations_says_of_which_step_its_statistics_are(config):
    fit(config, "--checkpoint.every", "1", "--checkpoint.keep", "6")
    facts = {}
    for step in (2, 4, 5):
        folder = RunFolder("runs/tae").checkpoint(step) / "model"
        facts[step] = json.loads((folder / "config.json").read_text())["facts"]
    assert (facts[2]["latent_mean"], facts[2]["latent_std"], facts[2]["latent_step"]) == (None, None, None)
    assert facts[5]["latent_step"] == 4 != facts[5]["step"] == 5


def test_statistics_survive_a_resume_and_are_not_invented_by_one(config, monkeypatch):
    stopped(config, 5, monkeypatch)
    facts = {}
    for limit in ("0.0", "1.0"):  # the second measures anew at the end
        cli = fit(config, "--trainer.limit_val_batches", limit, "--trainer.max_steps", "6")
        facts[limit] = cli.model.facts()
        remove_checkpoint(RunFolder("runs/tae").checkpoint(6))
        (RunFolder("runs/tae").path / "finished.json").unlink()
    assert (facts["0.0"]["latent_step"], facts["0.0"]["frames"]) == (4, 8)
    assert facts["1.0"]["latent_step"] == 6


def test_a_run_that_never_validated_exports_no_statistics(config):
    facts = fit(config, "--trainer.limit_val_batches", "0").model.facts()
    assert facts["latent_mean"] is facts["latent_std"] is facts["latent_step"] is None


def test_latents_that_are_no_numbers_give_no_statistics_and_a_warning():
    module = tae_module()
    module.trainer = type("T", (), {"sanity_checking": False, "global_step": 3})()
    module.all_gather = lambda sums: sums
    module.moments = LatentMoments(4)
    module.moments.add(torch.full((1, 1, 4, 2, 2), float("nan")))
    with pytest.warns(UserWarning, match="no statistics are kept"):
        module.on_validation_epoch_end()
    assert module.measured_at is None
    assert module.model.latent_mean.isfinite().all()


@pytest.mark.filterwarnings("ignore")  # of Lightning
def test_clips_that_only_fill_up_a_round_change_no_measure_and_no_statistics(tmp_path):
    module, found = tae_module(), []
    module.loss = TAELossConfig(outlier_r=1.0)  # which white noise passes
    one, two = (
        {"video": torch.randn(2, 8, 3, 32, 32) * scale, "clip_id": [f"{scale}a", f"{scale}b"],
         "fps": torch.tensor([8.0])} for scale in (1, 3)
    )  # fmt: skip
    again = {**one, "repeated": True}
    for batches in ([one, two], [one, two, again, again]):
        trainer = Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        (logged,) = trainer.validate(module, Batches(batches), verbose=False)
        found.append((logged, module.model.latent_mean.tolist(), module.model.latent_std.tolist()))
    assert found[0] == found[1]
    assert found[0][0]["val/hot_positions"] > 0


def tae_module() -> TAEModule:
    shape = TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1, latent_channels=4)
    adversary = AdversaryConfig(network=DiscriminatorConfig(width=4, layers=2), start=0)
    return TAEModule(shape, TAELossConfig(adversary=adversary), OptimizerConfig())


def test_each_network_is_clipped_by_its_own_norm():
    module = tae_module()
    for weight in module.model.parameters():
        weight.grad = torch.full_like(weight, 100.0)
    for weight in module.objective.parameters():
        weight.grad = torch.full_like(weight, 1e-5)
    module.configure_gradient_clipping(torch.optim.SGD(module.parameters(), 1.0), 1.0, "norm")
    norms = [
        torch.nn.utils.get_total_norm([weight.grad for weight in network.parameters()])
        for network in (module.model, module.objective)
    ]
    torch.testing.assert_close(norms[0], torch.tensor(1.0))
    assert norms[1] < 0.1
    assert all((weight.grad == 1e-5).all() for weight in module.objective.parameters())


def test_outliers_above_one_are_those_that_the_penalty_fires_on():
    module = tae_module()
    hot = torch.randn(1, 1, 4, 16, 16)
    hot[0, 0, :, 2, 9] = 40
    module.model.encode = lambda video: type("P", (), {"mean": hot})()
    found = module.outliers({"video": torch.zeros(1, 8, 3, 128, 128)})
    assert (found > 1).nonzero().tolist() == [[0, 0, 2, 9]]
