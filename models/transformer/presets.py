"""Named shapes: the paper's, and one that learns the toy world in minutes on two cores."""

from models.transformer.config import TransformerConfig

PRESETS = {
    "30b": TransformerConfig(),  # Table 1
    "5b": TransformerConfig(
        width=3072, layers=32, heads=24, feed_forward=8192
    ),  # Sec. 3.6.2; FFN not disclosed
    "tiny": TransformerConfig(
        width=192, layers=5, heads=3, feed_forward=512, grid=(4, 8, 8), text_widths=(384,), qk_norm=True
    ),
}
