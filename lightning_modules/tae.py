"""Training the temporal autoencoder: reconstruct, stay near the prior, keep no outliers (Sec. 3.1.1)."""

import warnings
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn

from console import UserError
from evaluation.comparison import ComparisonConfig, open_comparison
from evaluation.comparison_table import Compared
from evaluation.psnr_by_resolution import PSNRByResolution
from lightning_modules.average import averaged, follow
from lightning_modules.optimization import OptimizerConfig, Trained, train_together
from lightning_modules.run_folder import RunFolder
from lightning_modules.tae_objective import Pass, TAELossConfig, TAEObjective
from models.tae import TAE, TAEConfig
from models.tae.losses import outlier_map, outlier_penalty
from models.tae.moments import LatentMoments


class TAEModule(L.LightningModule):
    """The TAE stage. Each validation also measures the latents' statistics, which later stages need.

    Args:
        tae: Shape of the model.
        loss: Terms of the objective and their weights.
        optimizer: AdamW and its schedule.
        ema: Decay of the weights' moving average, which is validated and exported; 0 keeps none.
        inflate: Folder or file of an image autoencoder whose weights the TAE begins with (Sec. 3.1.1).
        test: What `lightning test` judges by and compares with.
    """

    compared: Compared | None = None  # what the last test found

    def __init__(
        self,
        tae: TAEConfig,
        loss: TAELossConfig,
        optimizer: OptimizerConfig,
        ema: float = 0.0,
        inflate: str | None = None,
        test: ComparisonConfig = ComparisonConfig(),  # noqa: B008, it is frozen
    ) -> None:
        super().__init__()
        self.test_config, self.psnr = test, PSNRByResolution()
        self.model = TAE(tae)
        self.average = averaged(self.model, ema)
        self.objective = TAEObjective(loss)
        self.loss, self.optimizer_config, self.inflate = loss, optimizer, inflate
        self.example: dict[str, Any] = {}
        self.measured_at: int | None = None  # the optimizer step whose latents the statistics are of

    def setup(self, stage: str) -> None:
        """Open what training needs besides data, so that what is missing is said before the first step."""
        if stage != "fit":
            return
        try:
            self.objective.open(self.trainer.strategy.root_device)
            begins = RunFolder(self.trainer.default_root_dir).newest() is None  # Lightning does not know yet
            if self.inflate is not None and begins:
                self._begin_with(self.inflate)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Frames too small for the discriminator are refused now, not when it starts."""
        if self.objective.discriminator is not None:
            try:
                self.objective.discriminator.check(*batch["video"].shape[-2:])
            except ValueError as error:
                raise UserError(str(error)) from error

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Reconstruct from a sample of the posterior. One backward pass serves autoencoder and discriminator:
        each loss reaches its own network alone (docs/decisions/0017)."""
        video = batch["video"]
        posterior = self.model.encode(video)
        latent = posterior.sample(torch.randn_like(posterior.mean))
        decoded = self.model.decode(latent, frames=video.shape[1])
        losses = self.objective(
            Pass(video, decoded, posterior, latent), last_matrix(self.model.decoder), self.global_step
        )
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.parts.items()})
        self.log("train/loss", losses.autoencoder.detach(), prog_bar=True)
        return losses.total

    def on_validation_epoch_start(self) -> None:
        self.moments = LatentMoments(self.model.config.latent_channels, self.device)
        self.psnr = PSNRByResolution()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """PSNR of the posterior's mean, its outliers, and the moments of the latents."""
        video, model = batch["video"], self.exported_model()
        self.example = self.example or {
            "frames": video.shape[1],
            "size": list(video.shape[-2:]),
            "fps": float(batch["fps"][0]),
        }
        mean = model.encode(video).mean
        counted = 0 if batch.get("repeated") else len(video)
        if counted:
            self.moments.add(mean)
        decoded = model.decode(mean, frames=video.shape[1]).clamp(-1, 1)
        self.psnr.update(batch["clip_id"], decoded, video)
        r = self.loss.outlier_r
        hot = (outlier_map(mean) > r).float().mean()
        outliers = {"val/outlier": outlier_penalty(mean, r), "val/hot_positions": hot}
        self.log_dict(outliers, batch_size=counted, sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Statistics of the latents go into the weights, so that no later stage can miss them."""
        if self.trainer.sanity_checking:
            return
        mean, std = self._gathered_moments().statistics()
        self.log_dict(self.psnr.logged("val/psnr"), prog_bar=True, sync_dist=True)
        if not (mean.isfinite().all() and std.isfinite().all()):
            warnings.warn(
                "Validation gave latents that are no numbers; no statistics are kept.", stacklevel=1
            )
            self.measured_at = None
            return
        for model in {self.model, self.exported_model()}:
            model.latent_mean.copy_(mean)
            model.latent_std.copy_(std)
        self.measured_at = self.global_step

    def on_test_start(self) -> None:
        self.comparison = open_comparison(self.test_config, self.exported_model(), self.device)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The same clips through this TAE and its peers."""
        self.comparison.update(batch["video"], batch["clip_id"])

    def on_test_epoch_end(self) -> None:
        self.compared = self.comparison.result()
        self.log_dict(self.compared.logged("test"), sync_dist=True)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Reconstructions "b t 3 h w" in [-1, 1]."""
        return self.reconstruct(batch)

    def configure_optimizers(self) -> dict[str, Any]:
        networks = [Trained(self.model, self.optimizer_config)]
        adversary, discriminator = self.loss.adversary, self.objective.discriminator
        if adversary is not None and discriminator is not None:
            networks.append(Trained(discriminator, adversary.optimizer, adversary.start))
        return train_together(networks, int(self.trainer.estimated_stepping_batches))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Autoencoder and discriminator each by the norm of their own gradients."""
        if (
            self.objective.discriminator is None
            or not gradient_clip_val
            or gradient_clip_algorithm == "value"
        ):
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        for network in (self.model, self.objective.discriminator):
            nn.utils.clip_grad_norm_(network.parameters(), gradient_clip_val)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        follow(self.average, self.model)

    @torch.no_grad()
    def reconstruct(self, batch: dict[str, Any]) -> Tensor:
        """Encode and decode the clips of a batch, without sampling."""
        video, model = batch["video"], self.exported_model()
        return model.decode(model.encode(video).mean, frames=video.shape[1]).clamp(-1, 1)

    @torch.no_grad()
    def outliers(self, batch: dict[str, Any]) -> Tensor:
        """How far the latents of a batch are from being outliers, "b t h w": hot positions are above 1."""
        return outlier_map(self.exported_model().encode(batch["video"]).mean) / self.loss.outlier_r

    def exported_model(self) -> TAE:
        """What inference loads: the moving average where there is one."""
        return self.model if self.average is None else cast(TAE, self.average.module)

    def facts(self) -> dict[str, Any]:
        """What later stages must know of these weights. No statistics are None: they were never measured."""
        model, measured = self.exported_model(), self.measured_at is not None
        return {
            "latent_mean": model.latent_mean.tolist() if measured else None,
            "latent_std": model.latent_std.tolist() if measured else None,
            "latent_step": self.measured_at,  # other than `step` where the weights moved on since
            "step": self.global_step,
            **self.example,
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["measured"] = {"step": self.measured_at, "example": self.example}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        measured = checkpoint.get("measured", {"step": None, "example": {}})
        self.measured_at, self.example = measured["step"], measured["example"]

    def _gathered_moments(self) -> LatentMoments:
        """The latents that all processes have validated."""
        gathered = cast(Tensor, self.all_gather(self.moments.sums))  # one more axis on several processes
        moments = LatentMoments(self.model.config.latent_channels, self.device)
        moments.merge(gathered.reshape(-1, *self.moments.sums.shape).sum(dim=0))
        return moments

    def _begin_with(self, path: str) -> None:
        """Take over an image autoencoder's weights: on one frame the TAE is that autoencoder."""
        from models.tae.inflate import inflate

        inflate(self.model, Path(path).expanduser())
        if self.average is not None:
            self.average.module.load_state_dict(self.model.state_dict())


def last_matrix(decoder: nn.Module) -> Tensor:
    """The decoder's last layer, where LDM compares the pull of the losses."""
    return [weight for weight in decoder.parameters() if weight.ndim > 1][-1]
