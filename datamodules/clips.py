"""ClipData: curated mp4 shards as batches of pixels, for training the TAE and all that sees video."""

import json
from typing import Any, NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from typing_extensions import override

from console import UserError
from datamodules.decode import decode_clip
from datamodules.loader import StreamConfig
from datamodules.module import Kind, ShardData
from datamodules.plan import Batch, Order
from datamodules.shards import Bucket
from datamodules.stream import Raw


class Clip(NamedTuple):
    """A decoded clip: uint8 frames "t h w 3", its id, its caption, its frames a second."""

    frames: np.ndarray
    clip_id: str
    caption: str
    fps: float


class ClipFormat:
    """mp4 and json to `{"video", "clip_id", "caption", "fps"}`; video is uint8 until it is on its device."""

    def __init__(self, crop: int | None, seed: int) -> None:
        self.crop = crop
        self.seed = seed

    def decode(self, raw: Raw) -> Clip:
        """The frames that the clip's bucket asks for, from the clip's middle."""
        clip_id = raw["__key__"]
        if "mp4" not in raw or "json" not in raw:
            held = ", ".join(key for key in raw if not key.startswith("__"))
            raise UserError(
                f"The sample '{clip_id}' needs an mp4 and a json; it has {held}. Make the shards anew."
            )
        facts = json.loads(raw["json"])
        bucket = Bucket.parse(facts["bucket"])
        if self.crop is not None and self.crop > min(bucket.width, bucket.height):
            raise UserError(
                f"data.crop is {self.crop} px; clips of the bucket '{facts['bucket']}' are smaller."
            )
        return Clip(
            decode_clip(raw["mp4"], bucket, clip_id), clip_id, facts.get("caption") or "", float(facts["fps"])
        )

    def collate(self, items: list[Clip], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        """Stack clips of one bucket, each cropped at a place that its number and the epoch decide."""
        frames = [clip.frames for clip in items]
        if self.crop is not None and epoch is not None:
            frames = [self._cropped(f, int(n), epoch) for f, n in zip(frames, numbers, strict=True)]
        return {
            "video": torch.from_numpy(np.stack(frames)),
            "clip_id": [clip.clip_id for clip in items],
            "caption": [clip.caption for clip in items],
            "fps": torch.tensor([clip.fps for clip in items]),
        }

    def _cropped(self, frames: np.ndarray, number: int, epoch: int) -> np.ndarray:
        size = self.crop or 0
        rng = np.random.default_rng([self.seed, epoch, number])
        top = rng.integers(frames.shape[1] - size + 1)
        left = rng.integers(frames.shape[2] - size + 1)
        return frames[:, top : top + size, left : left + size]


class ClipData(ShardData):
    """Batches of one bucket each: "video" float32 "b t 3 h w" in [-1, 1], "clip_id", "caption", "fps".

    Args:
        shards: Folder with train/ and val/, made by `python -m curation.run`.
        batch_size: Clips in a batch of each process; or a number for each bucket, as {64x64x16: 8}.
        crop: Side in pixels of a random square crop in training. Validation sees whole clips.
        memory: Decode every clip once and keep it (uint8). Otherwise shards are streamed.
        seed: Of the order and of the crops.
        stream: How shards are streamed.
    """

    def __init__(
        self,
        shards: str,
        batch_size: int | dict[str, int] = 8,
        crop: int | None = None,
        memory: bool = False,
        seed: int = 0,
        stream: StreamConfig = StreamConfig(),  # noqa: B008, it is frozen
    ) -> None:
        kind = Kind(folder=shards, made_by="python -m curation.run -c configs/curation/demo.yaml")
        super().__init__(kind, Order(batch_size=batch_size, seed=seed), None if memory else stream)
        self._form = ClipFormat(crop, seed)

    @override
    def format(self, split: str) -> ClipFormat:
        return self._form

    @override
    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        return {**batch, "video": to_model_range(batch["video"])}


def to_model_range(video: Tensor) -> Tensor:
    """uint8 "b t h w 3" to float32 "b t 3 h w" in [-1, 1]."""
    channels_first = rearrange(video, "b t h w c -> b t c h w")
    return channels_first.to(torch.float32, memory_format=torch.contiguous_format) / 127.5 - 1
