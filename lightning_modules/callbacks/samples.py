"""SampleVideos: what a stage can do by now, as mp4 files in the run's folder and in MLflow."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import interpolate
from typing_extensions import override

from lightning_modules.callbacks.export import Exportable
from lightning_modules.mlflow_logger import RunLogger
from lightning_modules.run_folder import RunFolder

DEFAULT_FPS = 8.0  # where the stage's facts name no rate


@runtime_checkable
class Reconstructs(Protocol):
    """A stage that encodes and decodes clips."""

    def reconstruct(self, batch: dict[str, Any]) -> Tensor:
        """The batch's videos "b t 3 h w" in [-1, 1], once through the model."""
        ...


@runtime_checkable
class FindsOutliers(Protocol):
    """A stage that can say which positions of a clip's latent are outliers."""

    def outliers(self, batch: dict[str, Any]) -> Tensor:
        """For each position "b t h w" how far it is from being one; above 1 it is."""
        ...


@runtime_checkable
class Generates(Protocol):
    """A stage that makes clips from prompts."""

    def sample(self, prompts: list[str], seed: int) -> Tensor:
        """Videos "b t 3 h w" in [-1, 1]."""
        ...


class SampleVideos(Callback):
    """After every `every`-th validation of a fit: clips and their reconstructions, or videos of prompts.

    Right of a reconstruction stands a map of its latent, grey up to the threshold of an outlier, red beyond:
    a red dot that stays in its place is the shortcut that the outlier penalty forbids (Sec. 3.1.1).

    Args:
        every: Validations between two rounds of samples; 0 writes none.
        count: Clips to reconstruct, or prompts to take from the validation set where none are given.
        prompts: Fixed prompts to sample.
        seed: Of the samples' noise; the same in every round.
    """

    def __init__(
        self, every: int = 1, count: int = 4, prompts: list[str] | None = None, seed: int = 0
    ) -> None:
        if every < 0 or count < 1:
            raise ValueError(
                f"samples.every must be at least 0, samples.count at least 1; {every}, {count} came."
            )
        self.every = every
        self.count = count
        self.prompts = prompts
        self.seed = seed
        self._validations = 0
        self._batch: dict[str, Any] | None = None

    @override
    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0 and isinstance(batch, dict):
            self._batch = batch

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batch, self._batch = self._batch, None
        rehearsal = trainer.sanity_checking or trainer.fast_dev_run  # pyright: ignore[reportAttributeAccessIssue]
        if trainer.global_step == 0 or rehearsal or self.every == 0:
            return
        self._validations += 1
        if self._validations % self.every == 0 and batch is not None:
            if trainer.world_size > 1:  # all make the first one's clips, since a sharded model needs them all
                batch = trainer.strategy.broadcast(move_data_to_device(batch, torch.device("cpu")))
                batch = trainer.strategy.batch_to_device(batch)
            for name, video in self._videos(pl_module, batch):
                if trainer.is_global_zero:
                    self._write(trainer, pl_module, name, video)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"validations": self._validations}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._validations = state_dict["validations"]

    def _videos(self, pl_module: LightningModule, batch: dict[str, Any]) -> list[tuple[str, Tensor]]:
        """Names and videos "t 3 h w" in [-1, 1]. Training's random numbers go on as without samples."""
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(self.seed)
            if isinstance(pl_module, Reconstructs):
                original = batch["video"][: self.count]
                again = pl_module.reconstruct({**batch, "video": original})
                sides = [original, again]
                if isinstance(pl_module, FindsOutliers):
                    sides.append(heat_map(pl_module.outliers({**batch, "video": original}), like=original))
                rows = rearrange(torch.stack(sides), "side b t c h w -> b t c h (side w)")
                return [(f"reconstruction-{i}", row) for i, row in enumerate(rows)]
            if isinstance(pl_module, Generates):
                prompts = self.prompts or list(batch["caption"][: self.count])
                videos = pl_module.sample(prompts, self.seed)
                return [(file_name(prompt), video) for prompt, video in zip(prompts, videos, strict=True)]
        return []

    def _write(self, trainer: Trainer, pl_module: LightningModule, name: str, video: Tensor) -> None:
        from inference.video import write_video

        path = RunFolder(trainer.default_root_dir).samples / f"step-{trainer.global_step:07d}-{name}.mp4"
        facts = pl_module.facts() if isinstance(pl_module, Exportable) else {}
        write_video(path, to_pixels(video), float(facts.get("fps") or DEFAULT_FPS))
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.log_artifact(path, "samples")


def heat_map(values: Tensor, like: Tensor) -> Tensor:
    """Values "b t h w" as a video of the size of `like`, in [-1, 1]: black at 0, white at 1, red beyond."""
    grey = interpolate(values[:, None].float(), size=(like.shape[1], *like.shape[-2:]), mode="nearest")
    hot = grey > 1
    red, others = grey.clamp(max=1), torch.where(hot, torch.zeros_like(grey), grey)
    return rearrange(torch.cat([red, others, others], dim=1) * 2 - 1, "b c t h w -> b t c h w").to(like)


def to_pixels(video: Tensor) -> np.ndarray:
    """Float "t 3 h w" in [-1, 1] to uint8 "t h w 3"."""
    scaled = ((video.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rearrange(scaled, "t c h w -> t h w c").cpu().numpy()


def file_name(prompt: str) -> str:
    """A prompt as a part of a file's name: words joined by hyphens, at most 60 characters."""
    words = "".join(letter if letter.isalnum() else " " for letter in prompt.lower()).split()
    return Path("-".join(words)[:60].strip("-") or "empty").name
