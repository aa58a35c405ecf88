"""What a batch of text-to-video costs: frames, tokens, padding, floating-point operations."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from datamodules.shards import Bucket
from models.text import TextSequence
from parallel.plan.flops import model_flops
from parallel.plan.shape import Backbone, Batch


class Work(NamedTuple):
    """One process's batch, forward and backward."""

    frames: float
    """Of video, as the bucket has them."""
    tokens: float
    """Of video: patches of the latent."""
    text: float
    """Tokens of text that the model is given, padding among them."""
    padding: Tensor
    """How many of these stand for nothing; on the batch's device, so that nobody waits for it."""
    flops: float
    """Of the model: each product once, attention in full (`parallel.plan.flops`)."""


def work_of(batch: dict[str, Any], shape: Backbone, patch: int) -> Work:
    """Of a batch of `datamodules.latents`. Extra input channels are not counted."""
    b, t, _, h, w = batch["latent"].shape
    masks = [each.mask for each in TextSequence.of_batch(batch["text"])]
    tokens = t * (h // patch) * (w // patch)
    fed = Batch(samples=b, tokens=tokens, text=tuple(mask.shape[1] for mask in masks))
    padding = torch.stack([(~mask).sum() for mask in masks]).sum()
    frames = Bucket.parse(batch["bucket"]).frames if "bucket" in batch else t
    return Work(b * frames, b * tokens, b * fed.text_tokens, padding, model_flops(shape, fed).total)
