"""The interface of every text encoder, and how a user names one (Sec. 3.1.4, A.1)."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch

from models.text.source import find_folder
from models.text.tokens import TextTokens


@runtime_checkable
class TextEncoder(Protocol):
    """A frozen encoder: UL2 and MetaCLIP read the whole prompt, ByT5 the characters to render."""

    name: str
    width: int
    max_tokens: int
    fingerprint: str  # changes with the weights, the tokenizer and the token limit

    def to(self, device: torch.device | str) -> "TextEncoder":
        """Move the weights to `device`."""
        ...

    def encode(self, texts: Sequence[str]) -> TextTokens:
        """Tokens of each text, padded to the longest; the empty text is the null condition of guidance."""
        ...

    def count(self, text: str) -> int:
        """How many tokens `text` has before it is cut at `max_tokens`."""
        ...


def open_text_encoder(source: str, max_tokens: int = 64) -> TextEncoder:
    """Open an encoder by packaged name (`minilm`), path, or hub name.

    A folder with open_clip_config.json is a CLIP text tower (MetaCLIP), any other a transformers model (UL2,
    ByT5, BERT). Raises FileNotFoundError where none is there.
    Weights must be safetensors: nothing is unpickled.
    """
    folder = find_folder(source)
    if (folder / "open_clip_config.json").is_file():
        from models.text.metaclip import MetaCLIPEncoder

        return MetaCLIPEncoder(folder, name=source, max_tokens=max_tokens)
    from models.text.transformers_encoder import TransformersEncoder

    return TransformersEncoder(folder, name=source, max_tokens=max_tokens)
