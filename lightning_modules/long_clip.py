"""Training Long-prompt MetaCLIP: a CLIP text tower learns to read 256 tokens (App. A.1).

    lightning fit --model lightning_modules.long_clip.LongClipModule --model.clip CLIP_FOLDER \\
        --data datamodules.clips.ClipData --data.shards data/demo/curated/shards --run_dir runs/long_clip

Both towers are frozen but for the text tower's positions and biases. An image is the middle frame of a clip,
its text the clip's caption. The paper mixes long and short synthetic captions and captions by people: that is
for the shards to bring.
"""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from torch.nn.functional import interpolate

from console import UserError
from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from models.text.clip_folder import Clip, read_clip, whole_model, write_clip
from models.text.source import find_folder
from models.text.stretch import TOKENS, contrastive_loss, stretch, train_positions_and_biases

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's images, red, green, blue in [0, 1]
STD = (0.26862954, 0.26130258, 0.27577711)
CLIP_FOLDER = "clip"  # in the run's folder: what `open_text_encoder` opens


class LongClipModule(L.LightningModule):
    """The stage of the long text tower.

    Args:
        clip: Folder or hub name of an open_clip model with safetensors, such as MetaCLIP.
        optimizer: AdamW and its schedule.
        tokens: Room of the text tower.
    """

    def __init__(
        self,
        clip: str,
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008, it is frozen
        tokens: int = TOKENS,
    ) -> None:
        super().__init__()
        try:
            longer = stretch(read_clip(find_folder(clip)), tokens)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
        self.config, self.optimizer_config = longer.config, optimizer
        self.clip = whole_model(longer)
        train_positions_and_biases(self.clip)
        self.tokenizer = SimpleTokenizer(context_length=tokens)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Each image of the batch finds its caption, and each caption its image."""
        loss, _ = self._measure(batch)
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=len(batch["video"]))
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The same loss, and how often the caption of an image is the nearest of its batch."""
        loss, found = self._measure(batch)
        for name, value in (("val/loss", loss), ("val/found", found)):
            self.log(name, value, prog_bar=True, batch_size=len(batch["video"]), sync_dist=True)

    def configure_optimizers(self) -> dict[str, Any]:
        steps = int(self.trainer.estimated_stepping_batches)
        return optimizer_and_schedule(self.clip, self.optimizer_config, steps)

    def on_train_end(self) -> None:
        """Write the model where a text encoder can be opened."""
        if self.trainer.is_global_zero:
            tensors = {key: value.detach().cpu() for key, value in self.clip.state_dict().items()}
            write_clip(Path(self.trainer.default_root_dir) / CLIP_FOLDER, Clip(self.config, tensors))

    def _measure(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer(batch["caption"]).to(self.device)
        image, text, scale = self.clip(self._images(batch["video"]), tokens)
        nearest = (image @ text.T).argmax(dim=1)
        found = (nearest == torch.arange(len(nearest), device=nearest.device)).float().mean()
        return contrastive_loss(image, text, scale), found

    def _images(self, video: Tensor) -> Tensor:
        """Middle frames "b 3 h w" of clips "b t 3 h w" in [-1, 1], at CLIP's size and scale."""
        size = self.config["vision_cfg"]["image_size"]
        frames = interpolate(
            video[:, video.shape[1] // 2], (size, size), mode="bicubic", antialias=True, align_corners=False
        )
        mean, std = (torch.tensor(each, device=video.device)[:, None, None] for each in (MEAN, STD))
        return ((frames.clamp(-1, 1) + 1) / 2 - mean) / std
