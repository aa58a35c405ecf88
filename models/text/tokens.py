"""What an encoder makes of a batch of prompts: embeddings of its tokens and which of them are real."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


class TextTokens(NamedTuple):
    """One encoder's tokens for a batch of texts; `mask` is True where a token is real."""

    embedding: Float[Tensor, "b l d"]
    mask: Bool[Tensor, "b l"]

    @staticmethod
    def stack(texts: Sequence[np.ndarray | Tensor]) -> "TextTokens":
        """Pad texts of `l d` each to the longest of them."""
        rows = [torch.as_tensor(text) for text in texts]
        embedding = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        return TextTokens(embedding, torch.arange(embedding.shape[1]) < lengths[:, None])

    def to(self, device: torch.device | str) -> "TextTokens":
        """The same tokens on `device`."""
        return TextTokens(self.embedding.to(device), self.mask.to(device))


class TextSequence(tuple[TextTokens, ...]):
    """The tokens of several encoders for the same batch, in the order of the transformer's `text_widths`."""

    @staticmethod
    def of(tokens: "TextTokens | TextSequence") -> "TextSequence":
        """What one encoder or several gave, as a sequence."""
        return TextSequence([tokens]) if isinstance(tokens, TextTokens) else tokens

    @staticmethod
    def of_batch(text: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]]) -> "TextSequence":
        """The "text" of a batch: "embedding" and "mask" of one encoder, or a list of such."""
        each = [text] if isinstance(text, Mapping) else text
        return TextSequence(TextTokens(tokens["embedding"], tokens["mask"]) for tokens in each)

    def to(self, device: torch.device | str) -> "TextSequence":
        """The same tokens on `device`."""
        return TextSequence(tokens.to(device) for tokens in self)

    def first(self, rows: int) -> "TextSequence":
        """The tokens of the first `rows` texts."""
        return TextSequence(TextTokens(tokens.embedding[:rows], tokens.mask[:rows]) for tokens in self)
