"""Frozen text encoders behind one interface, and the tokens they give (Sec. 3.1.4)."""

from models.text.encoder import TextEncoder, open_text_encoder
from models.text.tokens import TextTokens

__all__ = ["TextEncoder", "TextTokens", "open_text_encoder"]
