"""Named shapes: the paper's, a smaller one, and one that learns the toy world in minutes on two cores."""

from models.transformer.config import TransformerConfig

PRESETS = {
    "30b": TransformerConfig(),  # Table 1
    "7b": TransformerConfig(  # Sec. 3.1.5 names the size alone: the depth of Table 1 at the width of the 5B
        width=3072, layers=48, heads=24, feed_forward=8192
    ),
    "5b": TransformerConfig(  # Sec. 3.6.2; FFN not disclosed: the ratio of Table 1
        width=3072, layers=32, heads=24, feed_forward=8192
    ),
    "5b-dit": TransformerConfig(  # Table 9; at 4 x width DiT's two matrices are as large as SwiGLU's three
        width=3072, layers=32, heads=24, feed_forward=12288, block="dit"
    ),
    "1b": TransformerConfig(width=1536, layers=28, heads=12, feed_forward=4096),  # ours
    "tiny": TransformerConfig(
        width=192, layers=5, heads=3, feed_forward=512, grid=(4, 8, 8), text_widths=(384,), qk_norm=True
    ),
}
