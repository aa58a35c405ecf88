"""LiveLatentData: the batches of LatentData, encoded as they are needed, for small sets."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor
from typing_extensions import override

from console import UserError
from datamodules.budget import Sizes
from datamodules.decode import Span, UnreadableError, Window, check_span, draw_span
from datamodules.latent_format import Encoded, LatentFormat, MaxTokens
from datamodules.latent_images import FirstFrameFormat, LatentImages, image_bucket
from datamodules.latents import LatentData
from datamodules.loader import StreamConfig
from datamodules.module import ShardData
from datamodules.plan import Batch
from datamodules.shards import ShardSet
from datamodules.stream import Raw
from inference.clips import Frames, bucket_shape, decode_clip
from inference.encoders import EncodeOptions, Encoders, open_encoders
from inference.picked import Picked
from inference.rates import rates_of
from inference.shards import Sample
from storage import fingerprint


class FramesFormat:
    """mp4 and json to uint8 frames "b t h w 3" and what the JSON says, as `encode` reads them."""

    def __init__(self, span: Span, seed: int) -> None:
        self.span, self.seed = span, seed

    def decode(self, raw: Raw) -> Frames:
        """The frames of the clip's bucket; or all, to draw from."""
        sample = Sample(raw["__key__"], {key: value for key, value in raw.items() if key[:2] != "__"})
        try:
            shape = bucket_shape(json.loads(raw["json"])["bucket"])
            return decode_clip(sample, shape, whole=self.span == "random")
        except KeyError as error:
            raise UserError(f"The sample '{sample.key}' has no {error}. Make the shards anew.") from error
        except UnreadableError as error:
            raise UnreadableError(f"Clip '{sample.key}' cannot be read: {error}.") from error

    def seen(self, item: Frames, number: int, epoch: int | None) -> Frames:
        """What one epoch sees of a clip."""
        if item.times is None:
            return item
        window = Window(frames=bucket_shape(item.facts["bucket"]).frames, fps=float(item.facts["fps"]))
        chosen = window.choose(item.times, draw_span(self.seed, epoch, number))
        return item._replace(frames=item.frames[chosen], times=None)

    def collate(self, items: list[Frames], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        """Only the span is drawn: cached latents have no augmentation either."""
        return self.stacked([self.seen(*each, epoch) for each in zip(items, numbers, strict=True)])

    @staticmethod
    def stacked(items: list[Frames]) -> dict[str, Any]:
        """Clips of one shape as a batch."""
        frames = np.stack([item.frames for item in items])
        return {
            "video": torch.from_numpy(frames),
            "clip_id": [item.key for item in items],
            "described": [item.facts for item in items],
        }


class ImagesFormat(FramesFormat):
    """The first frame of what is seen of each clip alone, as an image."""

    @override
    def seen(self, item: Frames, number: int, epoch: int | None) -> Frames:
        clip = super().seen(item, number, epoch)
        facts = {**clip.facts, "bucket": image_bucket(clip.facts["bucket"])}
        return clip._replace(frames=clip.frames[:1], facts=facts)

    @override
    def collate(self, items: list[Frames], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        return {**super().collate(items, numbers, epoch), "image": True}


class LiveLatentData(LatentData):
    """The batches of LatentData on what `encode` would have made of the shards; each step encodes its own.

    Args:
        shards: Folder with train/ and val/ of curated clips.
        tae: Model folder of the TAE.
        encode: How clips and captions are encoded, as the options of `inference.run encode`.
        batch_size: As of LatentData, and so are all that follow.
        tokens: Instead of batch_size: video tokens in a batch of each process, at most.
        patch: Rows and columns of latent in a token, as model.transformer.patch; for counting tokens.
        max_tokens: Pad or cut each text to so many tokens, or a number for each text encoder in their order,
            as [300, 256, 100]; without it, pad to the longest of the batch.
        memory: Keep all decoded clips in memory (uint8). Otherwise shards are streamed.
        seed: Of the order and the spans.
        stream: How shards are streamed.
        images: Training batches that are of images: first frames, or latents of a folder of their own.
        span: Which frames of a clip longer than its bucket are read, evenly spaced by the time at which they
            are shown: the `centre`, as `encode` takes it; or in training a `random` span, another in each
            epoch, for which all of a clip is decoded.
    """

    def __init__(  # noqa: PLR0913, each is a key of a config
        self,
        shards: str,
        tae: str,
        encode: EncodeOptions = EncodeOptions(),  # noqa: B008, it is frozen
        batch_size: Sizes | None = None,
        tokens: int | None = None,
        patch: int = 2,
        max_tokens: MaxTokens = None,
        memory: bool = False,
        seed: int = 0,
        stream: StreamConfig = StreamConfig(),  # noqa: B008
        images: LatentImages = LatentImages(),  # noqa: B008
        span: Span = "centre",
    ) -> None:
        check_span(span)
        if encode.picked != Picked():
            raise ValueError(
                "data.encode.picked has no effect here: clips are encoded as they are. Encode ahead with: "
                "python -m inference.run encode --shrink|--images|--only"
            )
        super().__init__(shards, batch_size, tokens, patch, max_tokens, memory, seed, stream, images)
        self._tae, self._encode = Path(tae), encode
        self._span: Span = span

    @cached_property
    def encoders(self) -> Encoders:
        """The frozen models, on this process's device."""
        place = None if self.trainer is None else str(self.trainer.strategy.root_device)
        return open_encoders(self._tae, replace(self._encode, device=place or self._encode.device))

    @override
    def open(self, split: str) -> ShardSet:
        if "images" in split:
            return super().open(split)
        shards, facts = ShardData.open(self, split), self.encoders.facts()
        mark = fingerprint([shards.fingerprint, facts, self._encode.prefix, self._encode.first_frame])
        rates = rates_of(_rates(shards)) if split == "train" else {}
        return shards._replace(index={**shards.index, **facts, "fingerprint": mark, **rates})

    @override
    def null_tokens(self, text: str) -> list[Tensor]:
        """By the encoder that reads the captions."""
        tokens = self.encoders.embeddings([text])[0]
        return [torch.from_numpy(tokens[name]) for name in sorted(tokens)]

    @override
    def format(self, split: str) -> Any:
        return super().format(split) if "images" in split else FramesFormat(self._span, self._order.seed)

    @override
    def _form(self, kind: type[LatentFormat]) -> Any:
        return ImagesFormat(self._span, self._order.seed) if kind is FirstFrameFormat else super()._form(kind)

    @override
    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Frames to latents and captions to text tokens; cached images pass."""
        return {**self.encoded(batch), "repeated": batch["repeated"]} if "video" in batch else batch

    def encoded(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch that LatentData would have given."""
        video: Tensor = batch["video"]
        frames, facts, encoders = list(video.cpu().numpy()), batch["described"], self.encoders
        latents = encoders.latents(frames)
        texts = encoders.embeddings([encoders.worded(each, video.shape[1]) for each in facts])
        form, image = LatentFormat(*self._statistics, self.max_tokens), batch.get("image", False)
        firsts: list[Any] = [None] * len(frames)
        if encoders.first_frame and not image:
            firsts = [form.normalised(each) for each in encoders.latents([clip[:1] for clip in frames])]
        items = []
        for latent, text, key, about, first in zip(
            latents, texts, batch["clip_id"], facts, firsts, strict=True
        ):
            words = {"caption": about.get("caption") or "", "fps": float(about["fps"])}
            tokens = [text[name] for name in sorted(text)]
            items.append(
                Encoded(form.normalised(latent), tokens, key, **words, first=first, bucket=about["bucket"])
            )
        return move_data_to_device(form.collate(items, np.empty(0, np.int64), None), video.device)

    @property
    def _statistics(self) -> tuple[list[float], list[float]]:
        return self.encoders.statistics.mean.tolist(), self.encoders.statistics.std.tolist()


def _rates(shards: ShardSet) -> Iterator[tuple[str, float, int]]:
    """Bucket and frame rate of each clip, from the JSON of all; videos are passed over."""
    for shard in shards.shards:
        with tarfile.open(shard.path) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.name.endswith(".json") else None
                if file is not None:
                    yield shard.bucket, float(json.load(file)["fps"]), 1
