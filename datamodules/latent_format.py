"""Samples of cached latents and text embeddings: read, normalised, stacked."""

import io
import json
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from console import UserError
from datamodules.plan import Batch
from datamodules.stream import Raw

MADE_BY = "python -m inference.run encode"
MaxTokens = int | list[int] | None  # of all text encoders, or of each in their order


class Encoded(NamedTuple):
    """One clip: latent float32 [t c h w], normalised; valid tokens float32 [l d] of each text encoder.

    `first` [1 c h w] is the normalised latent of the first frame alone, where the shards have it, and
    `first_text` its caption's tokens, where videos have a prefix that single frames have not.
    """

    latent: np.ndarray
    text: list[np.ndarray]
    clip_id: str
    caption: str
    fps: float
    first: np.ndarray | None = None
    bucket: str = ""
    first_text: list[np.ndarray] | None = None


class LatentFormat:
    """npy, npz and json to `{"latent", "text", "clip_id", "caption", "fps", "bucket"}`."""

    def __init__(self, mean: list[float], std: list[float], max_tokens: MaxTokens) -> None:
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
        facts, text = json.loads(raw["json"]), read_text(raw["text.npz"])
        latent, first = self.normalised(latent), None
        alone = read_text(raw["first.text.npz"]) if "first.text.npz" in raw else None
        if "first.npy" in raw:
            first = self.normalised(np.load(io.BytesIO(raw["first.npy"]), allow_pickle=False))
        about = {"caption": facts.get("caption") or "", "fps": float(facts["fps"]), "bucket": facts["bucket"]}
        return Encoded(latent, text, clip_id, first=first, first_text=alone, **about)

    def normalised(self, latent: np.ndarray) -> np.ndarray:
        """To zero mean and unit deviation per channel, float32."""
        return ((latent - self.mean) / self.std).astype(np.float32)

    def collate(self, items: list[Encoded], numbers: Batch, epoch: int | None) -> dict[str, Any]:
        """Stack latents of one bucket and pad the texts."""
        each = list(zip(*(item.text for item in items), strict=True))
        limits = text_limits(self.max_tokens, len(each))
        texts = [self._text(*of_one) for of_one in zip(each, limits, strict=True)]
        firsts = [item.first for item in items if item.first is not None]
        given = {"first": torch.from_numpy(np.stack(firsts))} if len(firsts) == len(items) else {}
        return {
            **given,
            "latent": torch.from_numpy(np.stack([item.latent for item in items])),
            "text": texts[0] if len(texts) == 1 else texts,
            "clip_id": [item.clip_id for item in items],
            "caption": [item.caption for item in items],
            "fps": torch.tensor([item.fps for item in items]),
            "bucket": items[0].bucket,
        }

    def _text(self, of_one: tuple[np.ndarray, ...], limit: int | None) -> dict[str, Tensor]:
        embedding, mask = pad_text(list(of_one), limit)
        return {"embedding": embedding, "mask": mask}


def text_limits(max_tokens: MaxTokens, encoders: int) -> tuple[int | None, ...]:
    """Tokens of each text encoder; None pads to the longest text. A UserError where the counts differ."""
    if max_tokens is None or isinstance(max_tokens, int):
        return (max_tokens,) * encoders
    if len(max_tokens) != encoders:
        raise UserError(
            f"data.max_tokens is {list(max_tokens)}; {encoders} text encoders read the captions. Give one "
            "number for all, or a number for each in their order."
        )
    return tuple(max_tokens)


def read_text(data: bytes) -> list[np.ndarray]:
    """The tokens [l d] of each text encoder: embedding, embedding1, embedding2."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return [arrays[name] for name in sorted(arrays)]


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
