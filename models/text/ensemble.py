"""Several encoders as one: each reads its part of the prompt, the transformer hears all (Sec. 3.1.4).

UL2 and Long-prompt MetaCLIP read the whole prompt; ByT5 reads, by letters, what it quotes.
"""

import hashlib
from collections.abc import Callable, Sequence

import torch

from models.text.encoder import TextEncoder
from models.text.quotes import find_quotes
from models.text.tokens import TextSequence


def whole(prompt: str) -> str:
    """All of the prompt."""
    return prompt


def quoted(prompt: str) -> str:
    """What is to be rendered: the quoted texts, a line each; empty where there is none."""
    return "\n".join(find_quotes(prompt).texts)


READS: dict[str, Callable[[str], str]] = {"prompt": whole, "quoted": quoted}


class TextEnsemble:
    """Frozen encoders and, for each, the part of the prompt that it reads: a name in READS."""

    def __init__(self, encoders: Sequence[TextEncoder], reads: Sequence[str]) -> None:
        if not encoders or len(encoders) != len(reads):
            raise ValueError(
                f"{len(encoders)} text encoders came with {len(reads)} parts to read; give one each."
            )
        unknown = [part for part in reads if part not in READS]
        if unknown:
            raise ValueError(f"A text encoder cannot read '{unknown[0]}'. Take one of: {', '.join(READS)}.")
        self.encoders, self.reads = tuple(encoders), tuple(reads)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of each encoder, as `TransformerConfig.text_widths`."""
        return tuple(encoder.width for encoder in self.encoders)

    @property
    def fingerprint(self) -> str:
        """Changes with any encoder, with their order and with what they read."""
        facts = [
            f"{encoder.fingerprint}:{part}" for encoder, part in zip(self.encoders, self.reads, strict=True)
        ]
        return hashlib.sha256(" ".join(facts).encode()).hexdigest()[:16]

    def to(self, device: torch.device | str) -> "TextEnsemble":
        """Move the weights to `device`."""
        for encoder in self.encoders:
            encoder.to(device)
        return self

    def encode(self, prompts: Sequence[str]) -> TextSequence:
        """Each encoder's tokens of its part of each prompt; where that is empty, those of the empty text."""
        return TextSequence(
            encoder.encode([READS[part](prompt) for prompt in prompts])
            for encoder, part in zip(self.encoders, self.reads, strict=True)
        )
