"""LatentData: cached TAE latents and text embeddings as batches: the normal path of text-to-video."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor
from typing_extensions import override

from console import UserError
from datamodules.budget import Sizes, TokenCount
from datamodules.joint import IMAGES, JointLoader
from datamodules.latent_format import MADE_BY, LatentFormat, MaxTokens, read_text
from datamodules.latent_images import (
    FirstFrameFormat,
    LatentImages,
    OneAfterAnother,
    check_images,
    image_bucket,
)
from datamodules.loader import BatchLoader, StreamConfig
from datamodules.module import Kind, ShardData
from datamodules.plan import Order
from datamodules.shards import INDEX, ShardSet

FACTS = ("tae", "text", "latent_mean", "latent_std")  # what an index of latents adds to that of clips
CLIPS = 16  # in a batch, where the config says nothing


class LatentData(ShardData):
    """Batches of one bucket each: "latent" float32 "b t c h w", normalised; "text" with "embedding" "b l d"
    and "mask" "b l", a list of such where several encoders read the captions; "clip_id", "caption", "fps",
    "bucket"; "first" "b 1 c h w", the latent of the first frame alone, of shards that `encode --first-frame`
    made.

    Args:
        latents: Folder with train/ and val/, made by `python -m inference.run encode`.
        batch_size: Clips in a batch of each process; or a number for each bucket, as {64x64x16: 64}.
        tokens: Instead of batch_size: video tokens in a batch of each process, at most.
        patch: Rows and columns of latent in a token, as model.transformer.patch; for counting tokens.
        max_tokens: Pad or cut each text to so many tokens, or a number for each text encoder in their order,
            as [300, 256, 100]; without it, pad to the longest of the batch.
        memory: Keep all latents and texts in memory. Otherwise shards are streamed.
        seed: Of the order.
        stream: How shards are streamed; where there are images, once for them and once for videos.
        images: Training batches that are of images.
    """

    def __init__(  # noqa: PLR0913, each is a key of a config
        self,
        latents: str,
        batch_size: Sizes | None = None,
        tokens: int | None = None,
        patch: int = 2,
        max_tokens: MaxTokens = None,
        memory: bool = False,
        seed: int = 0,
        stream: StreamConfig = StreamConfig(),  # noqa: B008, it is frozen
        images: LatentImages = LatentImages(),  # noqa: B008
    ) -> None:
        limits = max_tokens if isinstance(max_tokens, list) else [max_tokens]
        for name, value in (*(("max_tokens", each) for each in limits), ("tokens", tokens), ("patch", patch)):
            if value is not None and value < 1:
                raise ValueError(f"data.{name} must be at least 1; {value} came.")
        if batch_size is not None and tokens is not None:
            raise ValueError(
                f"data.batch_size is {batch_size} and data.tokens {tokens}: both say how many clips are in a "
                "batch. Give one of them."
            )
        order = Order(batch_size=CLIPS if batch_size is None else batch_size, seed=seed)
        super().__init__(Kind(folder=latents, made_by=MADE_BY), order, None if memory else stream)
        self.max_tokens, self.tokens, self.patch, self.images = max_tokens, tokens, patch, images

    def batch_sizes(self) -> dict[str, int]:
        """Clips in a batch of each bucket of the training set, images among them."""
        sizes = self._sizes(self.open("train"))
        return {**self._image_sizes(), **sizes} if self.images.share else sizes

    @property
    def buckets(self) -> dict[str, int]:
        """How many training samples each bucket has, images of their own among them."""
        sets = [self.open(split) for split in self.training_splits]
        return {name: count for shards in reversed(sets) for name, count in shards.counts.items()}

    def made_of(self) -> dict[str, str]:
        """What the latents are of, for a run that goes on to compare."""
        buckets = ", ".join(f"{name} ({count})" for name, count in sorted(self.buckets.items()))
        return {"TAE": self.facts["tae"][:16], "text encoder": self.facts["text"][:16], "buckets": buckets}

    @property
    def facts(self) -> dict[str, Any]:
        """Which TAE and text encoder made the training set, and the latents' statistics."""
        index = self.open("train").index
        return {key: index[key] for key in FACTS}

    def null_tokens(self, text: str) -> list[Tensor] | None:
        """Each text encoder's tokens "l d" of the null `text`, without opening one.

        None: `encode` wrote those of another text, or an older `encode` wrote none.
        """
        shards = self.open("train")
        null = shards.index.get("null")
        if null is None or null["text"] != text:
            return None
        path = shards.folder / null["file"]
        try:
            return [torch.from_numpy(tokens) for tokens in read_text(path.read_bytes())]
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise UserError(
                f"'{path}', the null text of these latents, cannot be read ({error}). Copy it again, or make "
                f"it anew with: {MADE_BY}"
            ) from error

    @property
    @override
    def training_splits(self) -> tuple[str, ...]:
        return ("train", "images") if self.images.latents else ("train",)

    @property
    @override
    def held_out_splits(self) -> tuple[str, ...]:
        own = self.images.latents and (self.folder("val_images") / INDEX).is_file()
        return ("val", "val_images") if own else ("val",)

    @override
    def folder(self, split: str) -> Path:
        own = {"images": "train", "val_images": "val"}
        return Path(self.images.latents or "", own[split]) if split in own else super().folder(split)

    @override
    def open(self, split: str) -> ShardSet:
        shards = super().open(split)
        missing = [key for key in FACTS if key not in shards.index]
        if missing:
            raise UserError(
                f"'{shards.folder}' holds no latents: its index lacks {', '.join(missing)}. "
                f"Name the folder that this wrote: {MADE_BY}"
            )
        return shards

    @override
    def order(self, shards: ShardSet) -> Order:
        return replace(self._order, batch_size=self._sizes(shards))

    @override
    def train_dataloader(self) -> BatchLoader | JointLoader:
        videos = super().train_dataloader()
        if not self.images.share:
            return videos
        sizes, seed = self._image_sizes(), self._order.seed + IMAGES
        if self.images.latents:
            order = replace(self._order, batch_size=sizes, seed=seed)
            return JointLoader(videos, self._loader("images", order), self.images.share)
        of_videos = {name: sizes[image_bucket(name)] for name in self._sources["train"][0].buckets}
        order = replace(self._order, batch_size=of_videos, seed=seed)
        images = self._loader("train", order, self._form(FirstFrameFormat))
        return JointLoader(videos, images, self.images.share)

    @override
    def val_dataloader(self) -> Any:
        videos = super().val_dataloader()
        if "val_images" not in self._sources or not self._sources["val_images"][0].samples:
            return videos
        order = replace(self._order, batch_size=self._image_sizes("val_images"), shuffle=False)
        images = self._loader("val_images", order)
        return OneAfterAnother(videos, images) if isinstance(videos, BatchLoader) else images

    @override
    def format(self, split: str) -> LatentFormat:
        own = self.open(split)
        if "images" in split:
            check_images(own, self.open("train"))
            return self._form(LatentFormat)
        facts = self.facts
        for key in ("tae", "text"):
            if own.index[key] != facts[key]:
                raise UserError(
                    f"train/ and val/ of '{self._kind.folder}' were encoded by different models ({key}: "
                    f"{facts[key]} and {own.index[key]}). Encode both with the same: {MADE_BY}"
                )
        return self._form(LatentFormat)

    def _form(self, kind: type[LatentFormat]) -> LatentFormat:
        return kind(self.facts["latent_mean"], self.facts["latent_std"], self.max_tokens)

    def _sizes(self, shards: ShardSet) -> dict[str, int]:
        if self.tokens is not None:
            return self._counted(shards).sizes(shards.buckets, self.tokens, "data.tokens")
        return {bucket: self._order.size(bucket) for bucket in shards.buckets}

    def _image_sizes(self, split: str = "images") -> dict[str, int]:
        """Images in a batch of each bucket of images."""
        videos, given = self.open("train"), self.images.batch_size
        own = self.images.latents is not None
        names = self.open(split).buckets if own else {*map(image_bucket, videos.buckets)}
        if given is not None:
            order = Order(batch_size=given, key="data.images.batch_size")
            return {name: order.size(name) for name in names}
        counted = self._counted(videos)
        largest = max(size * counted(name) for name, size in self._sizes(videos).items())
        return counted.sizes(names, self.tokens or largest, "data.images: the largest batch of videos")

    def _counted(self, shards: ShardSet) -> TokenCount:
        return TokenCount.of_index(self.patch, shards.index)
