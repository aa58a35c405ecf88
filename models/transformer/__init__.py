"""The backbone of text-to-image and text-to-video (Sec. 3.1.3)."""

from models.transformer.config import TransformerConfig
from models.transformer.model import Transformer

__all__ = ["Transformer", "TransformerConfig"]
