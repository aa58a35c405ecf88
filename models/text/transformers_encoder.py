"""Any transformers text encoder from a local folder, frozen (Sec. 3.1.4).

MiniLM and BERT are taken as they are, T5, UL2 and ByT5 by their encoder half.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer
from transformers.utils import logging as transformers_logging

from models.text.source import fingerprint
from models.text.tokens import TextTokens

ENCODER_HALVES = {"t5", "mt5", "umt5"}  # of these only the encoder is wanted; UL2 and ByT5 are of type t5


class TransformersEncoder:
    """Last hidden states of a transformers model, read from safetensors; no code of the folder is run."""

    def __init__(self, folder: Path, name: str, max_tokens: int) -> None:
        _silence()
        config = AutoConfig.from_pretrained(folder)
        loader = AutoModelForTextEncoding if config.model_type in ENCODER_HALVES else AutoModel
        self.model = loader.from_pretrained(folder, use_safetensors=True).eval().requires_grad_(False)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.name = name
        self.width = int(config.hidden_size)
        self.max_tokens = min(max_tokens, int(getattr(config, "max_position_embeddings", None) or max_tokens))
        self.fingerprint = fingerprint(folder, self.max_tokens)

    def to(self, device: torch.device | str) -> "TransformersEncoder":
        """Move the weights to `device`."""
        self.model.to(device)
        return self

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextTokens:
        """Tokens of each text, cut at `max_tokens` and padded to the longest of the batch."""
        device = next(self.model.parameters()).device
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(device)
        states = self.model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        mask = tokens["attention_mask"].bool()
        return TextTokens(states.last_hidden_state.float() * mask[..., None], mask)

    def count(self, text: str) -> int:
        """Tokens of `text` before the cut, with the tokenizer's own marks."""
        return len(self.tokenizer(text, truncation=False, verbose=False)["input_ids"])


def _silence() -> None:
    transformers_logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
