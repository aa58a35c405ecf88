"""diffusers' own image autoencoders with random weights: the reference that inflation is held against."""

from pathlib import Path

import pytest
import torch

from models.tae import TAEConfig


def reference(latent_channels: int, *, maps: bool, **more):
    """A small `AutoencoderKL` in which no weight is zero or one."""
    diffusers = pytest.importorskip("diffusers")
    widths = (8, 16, 16, 24)
    model = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=latent_channels,
        use_quant_conv=maps,
        use_post_quant_conv=maps,
        **more,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def fitting(halves: str, latent_channels: int, *, maps: bool, **more) -> TAEConfig:
    """The shape of a TAE that `reference` can be inflated into."""
    return TAEConfig(
        halves=halves,
        widths=(8, 16, 16, 24),
        blocks=1,
        groups=4,
        latent_channels=latent_channels,
        latent_maps=maps,
        **more,
    )


def ldm_names(tensors: dict[str, torch.Tensor], levels: int) -> dict[str, torch.Tensor]:
    """What LDM calls the tensors, written by hand: diffusers converts one way only."""
    renamed = {}
    for name, tensor in tensors.items():
        part, *rest = name.split(".")
        if rest[0].endswith("_blocks"):
            way, level, kind, place = rest[0].removesuffix("_blocks"), int(rest[1]), rest[2], rest[3]
            level = level if part == "encoder" else levels - 1 - level
            kind = f"block.{place}" if kind == "resnets" else f"{way}sample"
            rest = [way, str(level), kind, *rest[4:]]
        elif rest[0] == "mid_block" and rest[1] == "resnets":
            rest = ["mid", f"block_{int(rest[2]) + 1}", *rest[3:]]
        elif rest[0] == "mid_block":
            layer = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}[
                rest[3]
            ]
            rest = ["mid", "attn_1", layer, rest[-1]]
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        short = ".".join([part, *rest])
        short = short.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        renamed[short] = tensor
    return renamed


def save(model, folder: Path, **options) -> Path:
    """Write as diffusers does."""
    model.save_pretrained(folder, **options)
    return folder
