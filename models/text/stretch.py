"""Long-prompt MetaCLIP: a CLIP text tower stretched from 77 to 256 tokens, and what of it trains (A.1).

Training all of the tower overfits; the paper freezes both towers but for the position table and the biases of
the text tower, and trains on long and short captions.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from models.text.clip_folder import Clip

TOKENS = 256
POSITIONS = "positional_embedding"


def stretch(clip: Clip, tokens: int = TOKENS) -> Clip:
    """The same model with room for `tokens` tokens. A text that fitted before is read exactly as before.

    The paper does not say how new positions begin: here as the old table, drawn out over the new length.
    """
    table = clip.tensors[POSITIONS]
    if tokens < len(table):
        raise ValueError(
            f"The text tower has room for {len(table)} tokens; {tokens} would cut it. Give more."
        )
    drawn_out = interpolate(table.T[None].float(), size=tokens, mode="linear", align_corners=True)[0].T
    longer = torch.cat([table, drawn_out[len(table) :].to(table.dtype)])
    text = {**clip.config["text_cfg"], "context_length": tokens}
    return Clip({**clip.config, "text_cfg": text}, {**clip.tensors, POSITIONS: longer})


def train_positions_and_biases(model: nn.Module) -> list[str]:
    """Freeze a CLIP model but for the positions and biases of its text tower; returns their names."""
    model.requires_grad_(False)
    chosen = dict(_text_positions_and_biases(model))
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return list(chosen)


def contrastive_loss(
    image: Float[Tensor, "b e"], text: Float[Tensor, "b e"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """CLIP's: each image finds its text among the batch's, and each text its image; features of length 1."""
    logits = scale * image @ text.T
    partner = torch.arange(len(logits), device=logits.device)
    return (cross_entropy(logits, partner) + cross_entropy(logits.T, partner)) / 2


def _text_positions_and_biases(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in model.named_parameters():
        in_text = not name.startswith("visual.")
        if in_text and (name == POSITIONS or name.endswith("bias")) and name != "logit_bias":
            yield name, parameter
