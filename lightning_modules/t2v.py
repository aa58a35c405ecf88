"""Training the joint image and video transformer by flow matching on cached latents (Sec. 3.1.2, 3.2)."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, Literal, cast

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.nn.functional import pad

from console import UserError
from datamodules.latents import LatentData
from flow.held_out import HeldOut, held_out_losses
from flow.loss import flow_matching_loss
from flow.path import PATHS
from inference.pipeline import Pipeline, open_text
from inference.prompts import Request
from inference.rates import usual_rate
from inference.sampling import Sampling
from inference.t2v import generate, to_values
from inference.weights import load_model
from lightning_modules.average import averaged, follow
from lightning_modules.fits import check_fits
from lightning_modules.held_out import HeldOutParts
from lightning_modules.loss_parts import TIMES, LossParts
from lightning_modules.null_text import null_tokens
from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from lightning_modules.run_folder import RunFolder
from lightning_modules.start import Before, Start, check_resumed, open_before
from lightning_modules.work import Work, work_of
from models.conditioning.first_frame import channels, first_frame
from models.text import TextEncoder, TextEnsemble, TextSequence, TextTokens
from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import Execution
from parallel.plan.stage import describe


class T2VModule(L.LightningModule):
    """The text-to-video stage, and text-to-image on latents of one frame.

    Args:
        transformer: Shape of the model.
        optimizer: AdamW and its schedule.
        text_drop: Chance that a clip trains under the null text, which guidance needs. Not disclosed.
        null_text: The text that stands for none, to all encoders. Not disclosed.
        time_mean: Mean of the logit of training times; the paper's is 0, negative looks at noisier points.
        path: From noise to data. On `cosine` the model is the diffusion model of Table 8's ablation.
        ema: Decay of the weights' moving average, which is validated, sampled and exported; 0 keeps none.
        sampling: How the samples shown during training are made.
        execution: What the blocks keep for the backward pass, and whether they are compiled.
        start: Model folder of the stage before, whose weights a run begins with; or what else it says of it.
        first_frame: Chance that a clip trains with its first frame given (image-to-video; not in the paper).
    """

    def __init__(  # noqa: PLR0913, each is a key of a config
        self,
        transformer: TransformerConfig,
        optimizer: OptimizerConfig,
        text_drop: float = 0.1,
        time_mean: float = 0.0,
        ema: float = 0.0,
        sampling: Sampling = Sampling(),  # noqa: B008, it is frozen
        execution: Execution = Execution(),  # noqa: B008
        null_text: str = "",
        first_frame: float = 0.0,
        start: str | Start | None = None,
        path: Literal["straight", "cosine"] = "straight",
    ) -> None:
        super().__init__()
        if path not in PATHS or (path != "straight" and time_mean):
            raise ValueError(
                f"path must be straight, or cosine with time_mean 0: it draws times evenly; {path} and "
                f"{time_mean:g} came."
            )
        if not 0 <= text_drop <= 1:
            raise ValueError(f"text_drop must be in [0, 1]; {text_drop} came.")
        needed = channels(transformer.latent_channels)
        if not 0 <= first_frame <= 1 or (first_frame and transformer.extra_channels != needed):
            raise ValueError(
                f"first_frame must be in [0, 1], and above 0 transformer.extra_channels must be {needed}; "
                f"{first_frame} and {transformer.extra_channels} came."
            )
        with execution.building():
            self.transformer = Transformer(transformer)
        self.average = averaged(self.transformer, ema)
        execution.put_on(self.transformer)  # the average has no backward pass
        self.optimizer_config, self.text_drop, self.time_mean = optimizer, text_drop, time_mean
        self.sampling, self.null_text, self.start = sampling, null_text, start
        self._before: Before | None = None
        self.first_frame, self.path = first_frame, path
        self.checkpointing = execution.checkpointing
        self.parts, self.held_out_parts = LossParts(), HeldOutParts()
        self._backbone = describe(self)[0].shape  # of whole weights: they may be cut up later

    def setup(self, stage: str) -> None:
        """Read from the latents what made them; whoever samples from this model must use the same."""
        if next(self.parameters()).is_meta and not isinstance(self.trainer.strategy, ModelParallelStrategy):
            raise UserError(
                "execution.empty needs trainer.strategy lightning_modules.strategy.MeshStrategy, which draws "
                "the weights. Name it, or set execution.empty to false."
            )
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, LatentData):
            raise UserError(f"T2V trains on datamodules.latents.LatentData; {type(data).__name__} came.")
        index = data.open("train").index
        usual, rates = max(index["buckets"], key=index["buckets"].get), index.get("rates", {})
        self._facts = {
            **{key: index[key] for key in ("tae", "tae_path", "latent_mean", "latent_std")},
            "rates": rates,
            "fps": usual_rate(rates, usual) or index["fps"],
            "text": index["text_encoder"],
            "path": self.path,
            "buckets": sorted(data.buckets),
            **_shape(usual),
        }
        nulls = null_tokens(data, self.null_text, self._facts["text"])
        check_fits(data, self.transformer.config, tuple(null.shape[1] for null in nulls))
        self.nulls = tuple(null.to(self.trainer.strategy.root_device) for null in nulls)
        self._count_by_bucket(data, stage)
        begins = RunFolder(self.trainer.default_root_dir).newest() is None  # Lightning does not know yet
        if stage == "fit" and self.start is not None and begins:
            self._before = open_before(self.start, self.transformer.config, self._facts)

    def on_fit_start(self) -> None:
        """Take the weights of `start`: a model that was built empty is cut over its mesh by now."""
        if self._before is None:
            return
        self._before.give(self.transformer)
        self._before = None
        if self.average is not None:
            self.average.module.load_state_dict(self.transformer.state_dict())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint of other latents is refused; its weights stand, not those of `start`."""
        self._before = None
        described = (checkpoint.get("export") or {}).get("description") or {}
        check_resumed(described.get("facts") or {}, self._facts, fit=self.trainer.state.fn == "fit")

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One flow-matching step at times drawn from the logit-normal distribution."""
        latent, text = batch["latent"], TextSequence.of_batch(batch["text"])
        dropped = torch.rand(len(latent), device=self.device) < self.text_drop
        text = [replace_text(each, dropped, null) for each, null in zip(text, self.nulls, strict=True)]
        time = PATHS[self.path].draw(len(latent), self.time_mean).to(self.device)
        velocity = self._velocity(self.transformer, text, self._first_frames(batch, self.first_frame))
        losses = flow_matching_loss(velocity, latent, torch.randn_like(latent), time, PATHS[self.path])
        self.parts.add(losses.detach(), self._ranks(time), batch.get("bucket"))
        loss = losses.mean()
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_idx: int) -> None:
        """Losses by time and bucket, of the steps since they were logged last."""
        if self.global_step % self.trainer.log_every_n_steps == 0:  # pyright: ignore[reportAttributeAccessIssue]
            self.log_dict(self.parts.means("train", self._total, self.device))

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The same loss on held-out clips, with times and noise of each one's own (Sec. 3.2.2, Fig. 15)."""
        found = self._held_out_losses(batch)
        given = self._first_frames(batch, share=1.0) if self.first_frame else None
        shown = None if given is None else self._held_out_losses(batch, given)
        if batch.get("repeated"):  # another process counts these clips
            return
        self.held_out_parts.add(found.losses, self._ranks(found.times), batch["bucket"])
        if shown is not None:
            self.held_out_parts.add_whole("loss_first_frame", shown.losses)

    def on_validation_epoch_end(self) -> None:
        """Losses of all processes already: sync_dist changes no value."""
        self._log_held_out("val")

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """As in validation."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """As in validation."""
        self._log_held_out("test")

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Clips "b t 3 h w" in [-1, 1] for the captions of a batch, with the batch's number as seed."""
        return self.sample(batch["caption"], seed=batch_idx)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        follow(self.average, self.transformer)

    def configure_optimizers(self) -> dict[str, Any]:
        steps = int(self.trainer.estimated_stepping_batches)
        return optimizer_and_schedule(self.transformer, self.optimizer_config, steps)

    def sample(self, prompts: list[str], seed: int) -> Tensor:
        """Clips "b t 3 h w" in [-1, 1] for `prompts`, by the stage's `sampling`."""
        pipeline = Pipeline(
            transformer=self.exported_model(),
            tae=self.tae.to(self.device),
            text=self.text,
            facts=self.facts(),
        )
        return to_values(generate(pipeline, [Request(prompt, seed) for prompt in prompts], self.sampling))

    def exported_model(self) -> Transformer:
        """What inference loads: the moving average where there is one."""
        return self.transformer if self.average is None else cast(Transformer, self.average.module)

    def facts(self) -> dict[str, Any]:
        """What inference must know of these weights, with the sampling that products take by default."""
        negative = self.sampling.negative or self.null_text
        return {**self._facts, "sampling": {**asdict(self.sampling), "negative": negative}}

    @cached_property
    def text(self) -> TextEncoder | TextEnsemble:
        """The encoder of the latents' captions, opened for samples alone; no submodule, so that no checkpoint
        holds it, and in the host's memory: the paper's would take a quarter of a GPU's.
        """
        return open_text(self._facts["text"], torch.device("cpu"))

    @property
    def tae(self) -> Any:
        """The TAE that made the latents, checked by its hash; in a tuple, so that no checkpoint holds it."""
        if not hasattr(self, "_tae"):
            loaded = load_model(self._facts["tae_path"], expect="models.tae.TAE")
            if loaded.hash != self._facts["tae"]:
                raise UserError(
                    f"The latents are of the TAE {self._facts['tae'][:12]}, but '{self._facts['tae_path']}' "
                    f"now holds {loaded.hash[:12]}. Encode the shards again: python -m inference.run encode"
                )
            self._tae = (loaded.model,)
        return self._tae[0]

    def _first_frames(self, batch: dict[str, Any], share: float) -> Tensor | None:
        """The condition of a batch in which a `share` of the clips is given its first frame."""
        if not share or ("first" not in batch and batch["latent"].shape[1] == 1):  # images have no condition
            return None
        if "first" not in batch:
            raise UserError(
                "The latents have no first frames, which model.first_frame trains on. Encode them with: "
                "python -m inference.run encode --first-frame ..."
            )
        given = torch.rand(len(batch["latent"]), device=self.device) < share
        return first_frame(batch["first"], batch["latent"].shape[1], given)

    def work(self, batch: dict[str, Any]) -> Work:
        """What a training step on a batch costs."""
        return work_of(batch, self._backbone, self.transformer.config.patch)

    def _count_by_bucket(self, data: LatentData, stage: str) -> None:
        """One list of buckets for all processes, of training and validation."""
        held_out = [name for split in data.held_out_splits for name in data.open(split).buckets]
        self.parts = LossParts(list(data.batch_sizes()) if stage == "fit" else [])
        self.held_out_parts = HeldOutParts(held_out, list(data.open("train").buckets))

    def _ranks(self, time: Tensor) -> Tensor:
        return PATHS[self.path].rank(time, self.time_mean)

    def _total(self, sums: Tensor) -> Tensor:
        """The sum over all processes. Those of a cp or tp group count the same samples: no mean changes."""
        return cast(Tensor, self.trainer.strategy.reduce(sums, reduce_op="sum"))

    def _log_held_out(self, split: str) -> None:
        for name, value in self.held_out_parts.means(split, self._total, self.device).items():
            self.log(name, value, prog_bar=name == f"{split}/loss", sync_dist=True)

    def _held_out_losses(self, batch: dict[str, Any], given: Tensor | None = None) -> HeldOut:
        velocity = self._velocity(self.exported_model(), TextSequence.of_batch(batch["text"]), given)
        return held_out_losses(velocity, batch["latent"], batch["clip_id"], TIMES, PATHS[self.path])

    @staticmethod
    def _velocity(transformer: Transformer, text: Sequence[TextTokens], extra: Tensor | None = None):
        return lambda point, time: transformer(point, time, text, extra)


def replace_text(text: TextTokens, rows: Tensor, null: Tensor) -> TextTokens:
    """`text` with the tokens `null` "l d" in place of the samples where `rows` "b" is True.

    Generation sees all of `null`, and so does training: shorter texts are padded to its length.
    """
    missing = max(0, len(null) - text.mask.shape[1])
    embedding, mask = pad(text.embedding, (0, 0, 0, missing)), pad(text.mask, (0, missing))
    padded, valid = torch.zeros_like(embedding[0]), torch.zeros_like(mask[0])
    padded[: len(null)], valid[: len(null)] = null.to(padded), True
    return TextTokens(
        torch.where(rows[:, None, None], padded, embedding), torch.where(rows[:, None], valid, mask)
    )


def _shape(bucket: str) -> dict[str, Any]:
    width, height, frames = map(int, bucket.split("x"))
    return {"frames": frames, "size": [height, width]}
