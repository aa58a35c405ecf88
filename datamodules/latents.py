"""LatentData: cached TAE latents and text embeddings as batches: the normal path of text-to-video."""

import io
import json
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from console import UserError
from datamodules.loader import StreamConfig
from datamodules.module import Kind, ShardData
from datamodules.plan import Batch, Order
from datamodules.shards import ShardSet
from datamodules.stream import Raw

MADE_BY = "python -m inference.run encode"
FACTS = ("tae", "text", "latent_mean", "latent_std")  # what an index of latents adds to that of clips


class Encoded(NamedTuple):
    """One clip: latent float32 [t c h w], normalised; valid tokens float32 [l d] of each text encoder.

    `first` [1 c h w] is the normalised latent of the first frame alone, where the shards have it.
    """

    latent: np.ndarray
    text: list[np.ndarray]
    clip_id: str
    caption: str
    fps: float
    first: np.ndarray | None = None


class LatentFormat:
    """npy, npz and json to `{"latent", "text", "clip_id", "caption", "fps"}`."""

    def __init__(self, mean: list[float], std: list[float], max_tokens: int | None) -> None:
        self.mean = np.asarray(mean, np.float32)[:, None, None]
        self.std = np.asarray(std, np.float32)[:, None, None]
        self.max_tokens = max_tokens

    def decode(self, raw: Raw) -> Encoded:
        """Normalise per channel; the shards keep latents as the TAE gave them."""
        clip_id = raw["__key__"]
        missing = [key for key in ("latent.npy", "text.npz", "json") if key not in raw]
        if missing:
            raise UserError(
                f"The sample '{clip_id}' lacks {', '.join(missing)}. Make the shards anew: {MADE_BY}"
            )
        latent = np.load(io.BytesIO(raw["latent.npy"]), allow_pickle=False)
        if latent.shape[1] != len(self.mean):
            raise UserError(
                f"The latent of '{clip_id}' has {latent.shape[1]} channels; its index has statistics of "
                f"{len(self.mean)}. Make the shards anew: {MADE_BY}"
            )
        with np.load(io.BytesIO(raw["text.npz"]), allow_pickle=False) as arrays:
            text = [arrays[name] for name in sorted(arrays)]  # embedding, embedding1, embedding2
        facts = json.loads(raw["json"])
        latent, first = self._normalised(latent), None
        if "first.npy" in raw:
            first = self._normalised(np.load(io.BytesIO(raw["first.npy"]), allow_pickle=False))
        return Encoded(latent, text, clip_id, facts.get("caption") or "", float(facts["fps"]), first)

    def _normalised(self, latent: np.ndarray) -> np.ndarray:
        return ((latent - self.mean) / self.std).astype(np.float32)

    def collate(self, items: list[Encoded], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        """Stack latents of one bucket and pad the texts."""
        texts = [self._text(of_one) for of_one in zip(*(item.text for item in items), strict=True)]
        firsts = [item.first for item in items if item.first is not None]
        given = {"first": torch.from_numpy(np.stack(firsts))} if len(firsts) == len(items) else {}
        return {
            **given,
            "latent": torch.from_numpy(np.stack([item.latent for item in items])),
            "text": texts[0] if len(texts) == 1 else texts,
            "clip_id": [item.clip_id for item in items],
            "caption": [item.caption for item in items],
            "fps": torch.tensor([item.fps for item in items]),
        }

    def _text(self, of_one: tuple[np.ndarray, ...]) -> dict[str, Tensor]:
        embedding, mask = pad_text(list(of_one), self.max_tokens)
        return {"embedding": embedding, "mask": mask}


class LatentData(ShardData):
    """Batches of one bucket each: "latent" float32 "b t c h w", normalised; "text" with "embedding" "b l d"
    and "mask" "b l", a list of such where several encoders read the captions; "clip_id", "caption", "fps";
    "first" "b 1 c h w", the latent of the first frame alone, of shards that `encode --first-frame` made.

    Args:
        latents: Folder with train/ and val/, made by `python -m inference.run encode`.
        batch_size: Clips in a batch of each process; or a number for each bucket, as {64x64x16: 64}.
        max_tokens: Pad or cut each text to so many tokens; without it, pad to the longest of the batch.
        memory: Keep all latents and texts in memory. Otherwise shards are streamed.
        seed: Of the order.
        stream: How shards are streamed.
    """

    def __init__(
        self,
        latents: str,
        batch_size: int | dict[str, int] = 16,
        max_tokens: int | None = None,
        memory: bool = False,
        seed: int = 0,
        stream: StreamConfig = StreamConfig(),  # noqa: B008, it is frozen
    ) -> None:
        if max_tokens is not None and max_tokens < 1:
            raise ValueError(f"data.max_tokens must be at least 1; {max_tokens} came.")
        super().__init__(
            Kind(folder=latents, made_by=MADE_BY),
            Order(batch_size=batch_size, seed=seed),
            None if memory else stream,
        )
        self.max_tokens = max_tokens

    def batch_sizes(self) -> dict[str, int]:
        """Clips in a batch of each bucket of the training set."""
        return {bucket: self._order.size(bucket) for bucket in self.open("train").buckets}

    @property
    def facts(self) -> dict[str, Any]:
        """Which TAE and text encoder made the training set, and the latents' statistics."""
        index = self.open("train").index
        return {key: index[key] for key in FACTS}

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
    def format(self, split: str) -> LatentFormat:
        facts, own = self.facts, self.open(split).index
        for key in ("tae", "text"):
            if own[key] != facts[key]:
                raise UserError(
                    f"train/ and val/ of '{self._kind.folder}' were encoded by different models ({key}: "
                    f"{facts[key]} and {own[key]}). Encode both with the same: {MADE_BY}"
                )
        return LatentFormat(facts["latent_mean"], facts["latent_std"], self.max_tokens)


def pad_text(texts: list[np.ndarray], max_tokens: int | None) -> tuple[Tensor, Tensor]:
    """Texts [l d] of any length as embedding "b l d", zeros behind each, and mask "b l", True where valid."""
    length = max_tokens or max(1, *(len(text) for text in texts))
    embedding = torch.zeros(len(texts), length, texts[0].shape[1])
    mask = torch.zeros(len(texts), length, dtype=torch.bool)
    for row, text in enumerate(texts):
        kept = min(len(text), length)
        embedding[row, :kept] = torch.from_numpy(text[:kept])
        mask[row, :kept] = True
    return embedding, mask
