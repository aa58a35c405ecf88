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
from datamodules.decode import Span, Window, check_span, decode_clip, draw_span
from datamodules.joint import IMAGES, JointLoader
from datamodules.loader import BatchLoader, StreamConfig
from datamodules.module import Kind, ShardData
from datamodules.plan import Batch, Order
from datamodules.shards import Bucket
from datamodules.stream import Raw


class Clip(NamedTuple):
    """A decoded clip: uint8 frames "t h w 3", its id, its caption, its frames a second; and the seconds at
    which its frames are shown, where all of them are here for a window to be drawn."""

    frames: np.ndarray
    clip_id: str
    caption: str
    fps: float
    times: np.ndarray | None = None
    window: Window | None = None


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


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What part of a clip is seen in training; see ClipData."""

    crop: int | None = None
    frames: int | None = None
    span: Span = "centre"
    seed: int = 0

    def __post_init__(self) -> None:
        check_span(self.span)
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"data.frames must be at least 1; {self.frames} came.")

    def window(self, bucket: Bucket, fps: float) -> Window:
        """The frames that are read of a clip of a bucket, which must be large enough."""
        if self.crop is not None and self.crop > min(bucket.width, bucket.height):
            raise UserError(f"data.crop is {self.crop} px; clips of the bucket '{bucket}' are smaller.")
        if self.frames is not None and self.frames > bucket.frames:
            raise UserError(f"data.frames is {self.frames}; clips of the bucket '{bucket}' have fewer.")
        return Window(frames=self.frames or bucket.frames, fps=fps)


class ClipFormat:
    """mp4 and json to `{"video", "clip_id", "caption", "fps"}`; video is uint8 until it is on its device."""

    def __init__(self, cut: Cut) -> None:
        self.cut = cut

    def decode(self, raw: Raw) -> Clip:
        """The frames that the clip's bucket asks for, from the clip's middle; or all, to draw from."""
        clip_id = raw["__key__"]
        if "mp4" not in raw or "json" not in raw:
            held = ", ".join(key for key in raw if not key.startswith("__"))
            raise UserError(
                f"The sample '{clip_id}' needs an mp4 and a json; it has {held}. Make the shards anew."
            )
        facts = json.loads(raw["json"])
        bucket, fps = Bucket.parse(facts["bucket"]), float(facts["fps"])
        window, drawn = self.cut.window(bucket, fps), self.cut.span == "random"
        frames, times = decode_clip(raw["mp4"], bucket, window, clip_id, whole=drawn)
        clip = Clip(frames, clip_id, facts.get("caption") or "", fps)
        return clip._replace(times=times, window=window) if drawn else clip

    def collate(self, items: list[Clip], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        """Stack clips of one bucket, each cut in time and in space where its number and the epoch say."""
        return self.stacked([self.seen(*each, epoch) for each in zip(items, numbers, strict=True)])

    def seen(self, clip: Clip, number: int, epoch: int | None) -> Clip:
        """What one epoch sees of a clip; without an epoch, its middle and all of each frame."""
        seed = self.cut.seed
        if clip.times is not None and clip.window is not None:
            chosen = clip.window.choose(clip.times, draw_span(seed, epoch, number))
            clip = clip._replace(frames=clip.frames[chosen], times=None)
        if epoch is None:
            return clip
        return clip._replace(
            frames=self.cropped(clip.frames, np.random.default_rng([seed, epoch, int(number)]))
        )

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
        size = self.cut.crop
        if size is None:
            return frames
        top = rng.integers(frames.shape[1] - size + 1)
        left = rng.integers(frames.shape[2] - size + 1)
        return frames[:, top : top + size, left : left + size]


class ImageFormat(ClipFormat):
    """As clips, with one of the frames that were read of each: which one, and its crop, is decided by number,
    epoch and seed."""

    @override
    def collate(self, items: list[Clip], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        assert epoch is not None  # validation sees clips
        images = []
        for clip, number in zip(items, numbers, strict=True):
            rng = np.random.default_rng([self.cut.seed, epoch, int(number), IMAGES])
            frame = int(rng.integers(len(clip.frames)))
            images.append(clip._replace(frames=self.cropped(clip.frames[frame : frame + 1], rng)))
        return self.stacked(images)


class ClipData(ShardData):
    """Batches of one bucket each: "video" float32 "b t 3 h w" in [-1, 1], "clip_id", "caption", "fps".

    Args:
        shards: Folder with train/ and val/, made by `python -m curation.run`.
        batch_size: Clips in a batch of each process; or a number for each bucket, as {64x64x16: 8}.
        crop: Side in pixels of a random square crop in training. Validation sees whole frames.
        frames: Frames that are read of a clip; without it, as many as its bucket has.
        span: Which frames these are, evenly spaced by the time at which they are shown: the `centre` of the
            clip; or in training a `random` span, another in each epoch, for which all of a clip is decoded.
            Validation sees the centre.
        memory: Decode every clip once and keep it (uint8). Otherwise shards are streamed.
        seed: Of the order, the crops and the spans.
        stream: How shards are streamed; where there are images, once for them and once for videos.
        images: Training batches that are of images.
    """

    def __init__(  # noqa: PLR0913, each is a key of a config
        self,
        shards: str,
        batch_size: int | dict[str, int] = 8,
        crop: int | None = None,
        frames: int | None = None,
        span: Span = "centre",
        memory: bool = False,
        seed: int = 0,
        stream: StreamConfig = StreamConfig(),  # noqa: B008, it is frozen
        images: ImageBatches = ImageBatches(),
    ) -> None:
        kind = Kind(folder=shards, made_by="python -m curation.run -c configs/curation/demo.yaml")
        super().__init__(kind, Order(batch_size=batch_size, seed=seed), None if memory else stream)
        self._form = ClipFormat(Cut(crop=crop, frames=frames, span=span, seed=seed))
        self._images = images

    @override
    def train_dataloader(self) -> BatchLoader | JointLoader:
        videos = super().train_dataloader()
        if not self._images.share:
            return videos
        cut = self._form.cut
        sizes = {
            name: self._images.size(self._order.size(name), cut.frames or Bucket.parse(name).frames)
            for name in self._sources["train"][0].buckets
        }
        order = replace(self._order, batch_size=sizes, seed=self._order.seed + IMAGES)
        images = self._loader("train", order, ImageFormat(cut))
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
