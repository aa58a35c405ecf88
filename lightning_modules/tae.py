"""Training the temporal autoencoder: reconstruct, stay near the prior, keep no outliers (Sec. 3.1.1)."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import lightning as L
import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from evaluation.comparison import ComparisonConfig, open_comparison
from evaluation.comparison_table import Compared
from evaluation.psnr_by_resolution import PSNRByResolution
from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from models.tae import TAE, TAEConfig
from models.tae.losses import kl_divergence, outlier_penalty

RECONSTRUCTION = {"l1": l1_loss, "mse": mse_loss}


@dataclass(frozen=True, kw_only=True)
class TAELossConfig:
    """Weights of the objective; the paper discloses that of the outlier penalty alone."""

    reconstruction: Literal["l1", "mse"] = "l1"
    """Distance of pixels in [-1, 1]."""
    kl: float = 1e-6
    """Weight of the KL divergence, summed over a clip's latent, as in LDM."""
    outlier: float = 1e5
    """Weight of the outlier penalty (Eq. 1)."""


class TAEModule(L.LightningModule):
    """The TAE stage. Each validation also measures the latents' statistics, which later stages need.

    Args:
        tae: Shape of the model.
        loss: Weights of the objective.
        optimizer: AdamW and its schedule.
        test: What `lightning test` judges by and compares with.
    """

    compared: Compared | None = None  # what the last test found

    def __init__(
        self,
        tae: TAEConfig,
        loss: TAELossConfig,
        optimizer: OptimizerConfig,
        test: ComparisonConfig = ComparisonConfig(),  # noqa: B008, it is frozen
    ) -> None:
        super().__init__()
        self.test_config = test
        self.model = TAE(tae)
        self.loss, self.optimizer_config = loss, optimizer
        self.example: dict[str, Any] = {}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Reconstruct from a sample of the posterior."""
        video = batch["video"]
        posterior = self.model.encode(video)
        latent = posterior.sample(torch.randn_like(posterior.mean))
        decoded = self.model.decode(latent, frames=video.shape[1])
        parts = {
            "reconstruction": RECONSTRUCTION[self.loss.reconstruction](decoded, video),
            "kl": kl_divergence(posterior),
            "outlier": outlier_penalty(latent),
        }
        total = parts["reconstruction"] + self.loss.kl * parts["kl"] + self.loss.outlier * parts["outlier"]
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        self.log("train/loss", total.detach(), prog_bar=True)
        return total

    def on_validation_epoch_start(self) -> None:
        self.moments = LatentMoments(self.model.config.latent_channels, self.device)
        self.psnr = PSNRByResolution()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """PSNR of the posterior's mean, and the moments of the latents."""
        video = batch["video"]
        self.example = self.example or {
            "frames": video.shape[1],
            "size": list(video.shape[-2:]),
            "fps": float(batch["fps"][0]),
        }
        mean = self.model.encode(video).mean
        self.moments.add(mean)
        decoded = self.model.decode(mean, frames=video.shape[1]).clamp(-1, 1)
        self.psnr.update(batch["clip_id"], decoded, video)
        self.log("val/outlier", outlier_penalty(mean), batch_size=len(video), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Statistics of the latents go into the weights, so that no later stage can miss them."""
        mean, std = self.moments.gathered(self)
        self.model.latent_mean.copy_(mean)
        self.model.latent_std.copy_(std)
        self.log_dict(self.psnr.logged("val/psnr"), prog_bar=True, sync_dist=True)

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
        return optimizer_and_schedule(
            self.model, self.optimizer_config, int(self.trainer.estimated_stepping_batches)
        )

    @torch.no_grad()
    def reconstruct(self, batch: dict[str, Any]) -> Tensor:
        """Encode and decode the clips of a batch, without sampling."""
        video = batch["video"]
        return self.model.decode(self.model.encode(video).mean, frames=video.shape[1]).clamp(-1, 1)

    def exported_model(self) -> TAE:
        """What inference loads."""
        return self.model

    def facts(self) -> dict[str, Any]:
        """What later stages must know of these weights."""
        return {
            "latent_mean": self.model.latent_mean.tolist(),
            "latent_std": self.model.latent_std.tolist(),
            **self.example,
        }


class LatentMoments:
    """Running sums of latents per channel, in float64."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.sums = torch.zeros(3, channels, dtype=torch.float64, device=device)  # ones, values, squares

    def add(self, latent: Tensor) -> None:
        """Count the positions of a latent "b t c h w"."""
        values = latent.double()
        powers = (torch.ones_like(values), values, values.square())
        self.sums += torch.stack([power.sum(dim=(0, 1, 3, 4)) for power in powers])

    def gathered(self, module: L.LightningModule) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation per channel over all processes."""
        gathered = cast(Tensor, module.all_gather(self.sums))  # one more axis on several processes
        sums = gathered.reshape(-1, *self.sums.shape).sum(dim=0)
        mean = sums[1] / sums[0]
        return mean.float(), (sums[2] / sums[0] - mean.square()).clamp(min=1e-12).sqrt().float()
