"""The networks that compare reconstructions by what they show rather than pixel by pixel."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor, nn

from console import UserError
from evaluation.metrics.extractors import (
    AT_ONCE,
    ClipFeatures,
    Extractor,
    ExtractorConfig,
    open_clip_extractor,
    open_frame_extractor,
    over_time,
)
from models.tae.perceptual import BACKBONES, PerceptualName, open_perceptual

Pixels = UInt8[Tensor, "b t h w 3"]


@dataclass(frozen=True, kw_only=True)
class JudgesConfig:
    """Which networks judge."""

    perceptual: PerceptualName = "efficientnet-lite0"
    """Distance of frames by features: LPIPS (lpips-vgg, lpips-alex), or like it on the packaged network."""
    perceptual_weights: str | None = None
    """File of torchvision's vgg16 or alexnet, which LPIPS needs."""
    frame_extractor: ExtractorConfig = field(default_factory=ExtractorConfig)
    """Network of rFID-like."""
    clip_extractor: ExtractorConfig = field(default_factory=ExtractorConfig)
    """Network of rFVD-like; without a path, features of rFID-like's network and their change over time."""


class Judges(NamedTuple):
    """The opened networks; `names` heads their columns."""

    names: dict[str, str]
    perceptual: nn.Module
    frames: Extractor
    clips: Extractor

    def features(self, pixels: Pixels) -> tuple[Tensor, Tensor | None]:
        """Of frames, and of clips where they are more than an image."""
        with torch.autocast(pixels.device.type, enabled=False):
            frames = self.frames(pixels)
            if pixels.shape[1] == 1:
                return frames, None
            if isinstance(self.clips, ClipFeatures) and self.clips.frames is self.frames:
                return frames, over_time(rearrange(frames, "(b t) d -> b t d", b=len(pixels)))
            return frames, self.clips(pixels)

    def distances(self, pixels: Pixels, others: Pixels) -> list[float]:
        """Perceptual distance of each pair of clips: the mean over their frames."""
        sides = (rearrange(side, "b t h w c -> (b t) c h w").split(AT_ONCE) for side in (pixels, others))
        with torch.autocast(pixels.device.type, enabled=False):
            pairs = ((one / 127.5 - 1, two / 127.5 - 1) for one, two in zip(*sides, strict=True))
            parts = [self.perceptual(*pair) for pair in pairs]
        return rearrange(torch.cat(parts), "(b t) -> b t", b=len(pixels)).mean(dim=1).tolist()


def open_judges(config: JudgesConfig, device: torch.device) -> Judges:
    """Open all of them, before anything is measured."""
    try:
        perceptual = open_perceptual(config.perceptual, config.perceptual_weights).to(device)
        frames = open_frame_extractor(config.frame_extractor, device)
    except (ValueError, FileNotFoundError) as error:  # of weights that a package or the user should give
        raise UserError(str(error)) from error
    clips = open_clip_extractor(config.clip_extractor, frames)
    backbone = BACKBONES.get(config.perceptual)
    names = {
        "psnr": "PSNR, dB",
        "ssim": "SSIM",
        "perceptual": f"LPIPS ({backbone})" if backbone else f"LPIPS-like ({config.perceptual})",
        "rfid_like": f"rFID-like ({frames.name})",
        "rfvd_like": f"rFVD-like ({clips.name})",
    }
    return Judges(names, perceptual, frames, clips)
