"""The tokens of the null text, without a text encoder where the latents bring them (Sec. 3.4)."""

from typing import Any

import torch
from torch import Tensor

from datamodules.latents import LatentData
from inference.pipeline import open_text
from models.text import TextSequence


def null_tokens(data: LatentData, text: str, encoder: dict[str, Any]) -> list[Tensor]:
    """Each encoder's tokens "l d" of `text`, as the latents have them.

    Where they have those of another text or none, the encoder of the facts `encoder` is opened in the host's
    memory and given up again.
    """
    tokens = data.null_tokens(text)
    if tokens is None:
        encoded = open_text(encoder, torch.device("cpu")).encode([text])
        tokens = [each.embedding[0] for each in TextSequence.of(encoded)]
    return tokens
