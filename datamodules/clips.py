"""ClipData: curated mp4 shards as batches of pixels, for training the TAE and all that sees video.

Some of the batches may be of images, the single frames of clips: the TAE learns from both (Sec. 3.1.1).
"""

import json
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from typing_extensions import override

from console import UserError
from datamodules.decode import decode_clip
from datamodules.joint import IMAGES, JointLoader
from datamodules.loader import BatchLoader, StreamConfig
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


@dataclass(frozen=True, kw_only=True)
class ImageBatches:
    """How many training batches are of images, and how large they are."""

    share: float = 0.0
    """Of all training batches; the paper's one batch of images to three of videos is 0.25."""
    frames: int = 8
    """Frames of video that an image takes the place of: as many as the TAE makes one of, so that batches of
    both kinds have as many latent positions."""

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1 or self.frames < 1:
            raise ValueError(
                f"data.images: share {self.share} must be in [0, 1), frames {self.frames} at least 1."
            )

    def size(self, clips: int, frames: int) -> int:
        """Images in the batch that takes the place of `clips` clips of `frames` frames."""
        return clips * -(-frames // self.frames)


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
        if self.crop is not None and epoch is not None:
            rngs = [np.random.default_rng([self.seed, epoch, int(number)]) for number in numbers]
            items = [
                clip._replace(frames=self.cropped(clip.frames, rng))
                for clip, rng in zip(items, rngs, strict=True)
            ]
        return self.stacked(items)

    @staticmethod
    def stacked(items: list[Clip]) -> dict[str, Any]:
        """Clips of one shape as a batch."""
        return {
            "video": torch.from_numpy(np.stack([clip.frames for clip in items])),
            "clip_id": [clip.clip_id for clip in items],
            "caption": [clip.caption for clip in items],
            "fps": torch.tensor([clip.fps for clip in items]),
        }

    def cropped(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A square of `crop` pixels somewhere in the frames, or all of them where there is no crop."""
        if self.crop is None:
            return frames
        size = self.crop
        top = rng.integers(frames.shape[1] - size + 1)
        left = rng.integers(frames.shape[2] - size + 1)
        return frames[:, top : top + size, left : left + size]


class ImageFormat(ClipFormat):
    """As clips, with one frame each: which one, and its crop, is decided by number, epoch and seed."""

    @override
    def collate(self, items: list[Clip], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        assert epoch is not None  # validation sees clips
        images = []
        for clip, number in zip(items, numbers, strict=True):
            rng = np.random.default_rng([self.seed, epoch, int(number), IMAGES])
            frame = int(rng.integers(len(clip.frames)))
            images.append(clip._replace(frames=self.cropped(clip.frames[frame : frame + 1], rng)))
        return self.stacked(images)


class ClipData(ShardData):
    """Batches of one bucket each: "video" float32 "b t 3 h w" in [-1, 1], "clip_id", "caption", "fps".

    Args:
        shards: Folder with train/ and val/, made by `python -m curation.run`.
        batch_size: Clips in a batch of each process; or a number for each bucket, as {64x64x16: 8}.
        crop: Side in pixels of a random square crop in training. Validation sees whole clips.
        memory: Decode every clip once and keep it (uint8). Otherwise shards are streamed.
        seed: Of the order and of the crops.
        stream: How shards are streamed; where there are images, once for them and once for videos.
        images: Training batches that are of images.
    """

    def __init__(  # noqa: PLR0913, each is a key of a config
        self,
        shards: str,
        batch_size: int | dict[str, int] = 8,
        crop: int | None = None,
        memory: bool = False,
        seed: int = 0,
        stream: StreamConfig = StreamConfig(),  # noqa: B008, it is frozen
        images: ImageBatches = ImageBatches(),
    ) -> None:
        kind = Kind(folder=shards, made_by="python -m curation.run -c configs/curation/demo.yaml")
        super().__init__(kind, Order(batch_size=batch_size, seed=seed), None if memory else stream)
        self._form = ClipFormat(crop, seed)
        self._images = images

    @override
    def train_dataloader(self) -> BatchLoader | JointLoader:
        videos = super().train_dataloader()
        if not self._images.share:
            return videos
        shards, source = self._sources["train"]
        sizes = {
            name: self._images.size(self._order.size(name), Bucket.parse(name).frames)
            for name in shards.buckets
        }
        order = replace(self._order, batch_size=sizes, seed=self._order.seed + IMAGES)
        source = source.shown_as(ImageFormat(self._form.crop, self._form.seed))
        images = BatchLoader(shards, order, source, self._share(), self._excluded("train"))
        return JointLoader(videos, images, self._images.share)

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
