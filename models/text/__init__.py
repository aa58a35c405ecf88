"""Frozen text encoders behind one interface, and the tokens they give (Sec. 3.1.4)."""

from models.text.encoder import TextEncoder, open_text_encoder
from models.text.ensemble import TextEnsemble
from models.text.tokens import TextSequence, TextTokens

__all__ = ["TextEncoder", "TextEnsemble", "TextSequence", "TextTokens", "open_text_encoder"]
