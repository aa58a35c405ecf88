"""Long-prompt MetaCLIP: the text tower of an open_clip model, token by token (Sec. 3.1.4, A.1)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from models.text.clip_folder import read_clip, text_tower
from models.text.source import fingerprint
from models.text.tokens import TextTokens


class MetaCLIPEncoder:
    """States of the last layer under the final norm, at the tower's width (1,280 in the paper, Fig. 8)."""

    def __init__(self, folder: Path, name: str, max_tokens: int) -> None:
        clip = read_clip(folder)
        self.model = text_tower(clip).eval().requires_grad_(False)
        self.context = int(self.model.context_length)
        self.tokenizer = SimpleTokenizer(context_length=self.context)
        self.name = name
        self.width = int(self.model.width)
        self.max_tokens = min(max_tokens, self.context)
        self.fingerprint = fingerprint(folder, self.max_tokens)

    def to(self, device: torch.device | str) -> "MetaCLIPEncoder":
        """Move the weights to `device`."""
        self.model.to(device)
        return self

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextTokens:
        """Tokens of each text from its start to its end mark, cut at `max_tokens`, padded to the longest."""
        device = next(self.model.parameters()).device
        tokens, mask = self._tokens(texts)
        states = self.model.forward_intermediates(  # the tower's causal mask is of the whole context
            tokens.to(device),
            indices=1,
            normalize_intermediates=True,
            intermediates_only=True,
            output_fmt="NLC",
        )["text_intermediates"][-1]
        longest = int(mask.sum(dim=1).max())
        mask = mask[:, :longest].to(device)
        return TextTokens(states[:, :longest].float() * mask[..., None], mask)

    def count(self, text: str) -> int:
        """Tokens of `text` before the cut, with the marks of start and end."""
        return len(self.tokenizer.encode(text)) + 2

    def _tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer(list(texts), context_length=self.max_tokens)
        ends = tokens.argmax(dim=1)  # the end mark has the largest number; zeros follow it
        mask = torch.arange(self.max_tokens) <= ends[:, None]
        return torch.nn.functional.pad(tokens, (0, self.context - self.max_tokens)), mask
