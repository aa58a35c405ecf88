"""Several encoders as one: each reads its part of the prompt, the transformer hears all (Sec. 3.1.4).

UL2 and Long-prompt MetaCLIP read the whole prompt; ByT5 reads, by letters, what it quotes.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from models.text.encoder import TextEncoder, open_text_encoder
from models.text.quotes import find_quotes
from models.text.tokens import TextSequence


def whole(prompt: str) -> str:
    """All of the prompt."""
    return prompt


def quoted(prompt: str) -> str:
    """What is to be rendered: the quoted texts, a line each; empty where there is none."""
    return "\n".join(find_quotes(prompt).texts)


READS: dict[str, Callable[[str], str]] = {"prompt": whole, "quoted": quoted}


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Which encoder reads what of a prompt."""

    source: str
    """Packaged name, path or hub name."""
    max_tokens: int = 64
    """Tokens kept."""
    reads: str = "prompt"
    """Name in READS."""

    def __str__(self) -> str:
        """As `parse_sources` reads it, whatever limit it is given for others."""
        return f"{self.source}@{self.max_tokens}" + ("" if self.reads == "prompt" else f":{self.reads}")

    def __post_init__(self) -> None:
        if self.reads not in READS:
            raise ValueError(f"A text encoder cannot read '{self.reads}'. Take one of: {', '.join(READS)}.")
        if self.max_tokens < 1:
            raise ValueError(f"A text encoder must keep at least 1 token; {self.max_tokens} came.")


def parse_sources(written: str, max_tokens: int = 64) -> list[TextSource]:
    """`SOURCE[@TOKENS][:quoted]`, several joined by `+`; without @TOKENS an encoder keeps `max_tokens`.

    "google/ul2@300+long-metaclip@256+google/byt5-small@100:quoted" is the paper's three, of whose limits it
    gives MetaCLIP's alone. A ValueError says what cannot be read.
    """
    found = []
    for part in written.split("+"):
        name, _, reads = part.partition(":")
        source, _, limit = name.partition("@")
        if not source or (limit and not limit.isdecimal()):
            raise ValueError(
                f"'{part}' names no text encoder; write it as SOURCE, SOURCE@TOKENS or SOURCE:quoted."
            )
        found.append(
            TextSource(source=source, max_tokens=int(limit) if limit else max_tokens, reads=reads or "prompt")
        )
    return found


def open_text(written: str, max_tokens: int = 64) -> "TextEncoder | TextEnsemble":
    """The encoder that `written` names, or the ensemble of those that it joins; see `parse_sources`."""
    sources = parse_sources(written, max_tokens)
    encoders = [open_text_encoder(each.source, each.max_tokens) for each in sources]
    if len(encoders) == 1 and sources[0].reads == "prompt":
        return encoders[0]
    return TextEnsemble(encoders, [each.reads for each in sources], name="+".join(map(str, sources)))


class TextEnsemble:
    """Frozen encoders and, for each, the part of the prompt that it reads: a name in READS."""

    def __init__(self, encoders: Sequence[TextEncoder], reads: Sequence[str], name: str = "ensemble") -> None:
        if not encoders or len(encoders) != len(reads):
            raise ValueError(
                f"{len(encoders)} text encoders came with {len(reads)} parts to read; give one each."
            )
        unknown = [part for part in reads if part not in READS]
        if unknown:
            raise ValueError(f"A text encoder cannot read '{unknown[0]}'. Take one of: {', '.join(READS)}.")
        self.name = name
        self.encoders, self.reads = tuple(encoders), tuple(reads)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of each encoder, as `TransformerConfig.text_widths`."""
        return tuple(encoder.width for encoder in self.encoders)

    @property
    def max_tokens(self) -> int:
        """Of the longest encoder."""
        return max(encoder.max_tokens for encoder in self.encoders)

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


def encoders_of(text: TextEncoder | TextEnsemble) -> tuple[TextEncoder, ...]:
    """The encoders of an ensemble, or the one."""
    return text.encoders if isinstance(text, TextEnsemble) else (text,)


def readers_of(text: TextEncoder | TextEnsemble) -> list[tuple[TextEncoder, str]]:
    """Each encoder, and the part of a prompt that it reads: a name in READS."""
    if not isinstance(text, TextEnsemble):
        return [(text, "prompt")]
    return list(zip(text.encoders, text.reads, strict=True))
