"""Latents that a transformer cannot be trained on are refused before the first step."""

from console import UserError
from datamodules.budget import TokenCount
from datamodules.latent_format import MADE_BY
from datamodules.latents import LatentData
from models.transformer import TransformerConfig


def check_fits(data: LatentData, config: TransformerConfig, widths: tuple[int, ...]) -> None:
    """Compare channels, sizes, `widths` of the text encoders and, where tokens are counted, patches.

    Raises:
        UserError: With both sides of what differs, and the keys to set.
    """
    made = len(data.facts["latent_mean"])
    if made != config.latent_channels:
        raise UserError(
            f"The latents in '{data.folder('train')}' have {made} channels, transformer.latent_channels is "
            f"{config.latent_channels}. Set it to {made}, or encode the clips with a TAE of "
            f"{config.latent_channels} channels: {MADE_BY}"
        )
    if data.tokens is not None and data.patch != config.patch:
        raise UserError(
            f"data.patch is {data.patch}, transformer.patch {config.patch}: data.tokens would count other "
            "tokens than the model's. Set data.patch to the latter."
        )
    index = data.open("train").index
    count = TokenCount.of_index(config.patch, index)
    grids = {bucket: count.grid(bucket) for bucket in data.buckets}
    needed = [max(sizes) for sizes in zip(*grids.values(), strict=True)]
    if any(size > table for size, table in zip(needed, config.grid, strict=True)):
        raise UserError(
            f"The clips in '{data.folder('train')}' ({', '.join(grids)}) have up to {needed} tokens in time, "
            f"rows and columns; transformer.grid is {list(config.grid)}. Raise it to at least {needed}."
        )
    if widths != config.text_widths:
        encoder = index["text_encoder"]["encoder"]
        raise UserError(
            f"The latents' text encoder '{encoder}' is {list(widths)} wide; transformer.text_widths is "
            f"{list(config.text_widths)}. Set it to {list(widths)}, or encode the clips with another --text."
        )
