"""The joint image and video transformer: latents, time and text to velocities (Sec. 3.1.3, Fig. 8)."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from models.text.tokens import TextTokens
from models.transformer.block import Block
from models.transformer.config import TransformerConfig
from models.transformer.dit_block import DiTBlock
from models.transformer.modulation import SharedModulation, TimeEmbedding, modulate
from models.transformer.patchify import ExtraPatches, Patchify, unpatch
from models.transformer.position import PLACES, FactorisedPosition

BLOCKS = {"llama": Block, "dit": DiTBlock}


class TextEmbedder(nn.Module):
    """Each encoder's tokens to the model's width by a linear layer and norm of its own, as one sequence."""

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(each, width), nn.LayerNorm(width)) for each in widths
        )

    def forward(self, text: Sequence[TextTokens]) -> tuple[Float[Tensor, "b l d"], Bool[Tensor, "b l"]]:
        if len(text) != len(self.encoders):
            raise ValueError(
                f"The model reads {len(self.encoders)} text encoders; tokens of {len(text)} came."
            )
        embedded = [embed(tokens.embedding) for embed, tokens in zip(self.encoders, text, strict=True)]
        return torch.cat(embedded, dim=1), torch.cat([tokens.mask for tokens in text], dim=1)


class Output(nn.Module):
    """Tokens to the velocity of their patches, under the time's scale and shift; zero at the start."""

    def __init__(self, width: int, features: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps)
        self.modulation = SharedModulation(width, vectors=2)
        self.linear = nn.Linear(width, features)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero: an untrained model answers the mean velocity of normalised latents."""
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Float[Tensor, "b n d"], time: Float[Tensor, "b d"]) -> Float[Tensor, "b n p"]:
        scale, shift = self.modulation(time).unsqueeze(2).unbind(1)
        return self.linear(modulate(self.norm(x), scale, shift))


class Transformer(nn.Module):
    """u(X_t, P, t): the velocity at a point of the flow, for text P at time t."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.patchify = Patchify(config.latent_channels, config.patch, config.width)
        self.extra = (
            ExtraPatches(config.extra_channels, config.patch, config.width) if config.extra_channels else None
        )
        self.position = FactorisedPosition(config.grid, config.width)
        self.text = TextEmbedder(config.text_widths, config.width)
        self.time = TimeEmbedding(config.width)
        self.modulation = SharedModulation(config.width, Block.MODULATIONS)
        self.blocks = nn.ModuleList(BLOCKS[config.block](config) for _ in range(config.layers))
        self.output = Output(config.width, config.latent_channels * config.patch**2, config.norm_eps)

    def forward(
        self,
        latent: Float[Tensor, "b t c h w"],
        time: Float[Tensor, " b"],
        text: Sequence[TextTokens],
        extra: Float[Tensor, "b t extra h w"] | None = None,
    ) -> Float[Tensor, "b t c h w"]:
        """Velocity of a normalised latent; `time` is 0 at noise, 1 at data; one `TextTokens` an encoder.

        `extra` is a condition of `extra_channels` channels; without it, the model does as with zeros.
        """
        t, h, w = latent.shape[1], latent.shape[3] // self.config.patch, latent.shape[4] // self.config.patch
        x = self.patchify(latent)
        if extra is not None:
            if self.extra is None:
                raise ValueError("The model has no extra_channels; a condition came that needs them.")
            x = x + self.extra(extra)
        positions = PLACES[self.config.positions](self.position(t, h, w), len(self.blocks))
        embedded_time = self.time(time)
        modulation = self.modulation(embedded_time)
        embedded_text, mask = self.text(text)
        for block, position in zip(self.blocks, positions, strict=True):
            x = block(x, position, modulation, embedded_text, mask)
        return unpatch(self.output(x, embedded_time), t, h, w, self.config.patch)
