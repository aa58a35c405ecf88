"""What LDM, diffusers and we call the same tensors of an image autoencoder."""

import re
from collections.abc import Iterator

from torch import Tensor

from models.tae.config import TAEConfig

# LDM's names, and those of older diffusers, to diffusers' own; levels of LDM's decoder count backwards.
RENAMED = [
    (r"\b(down|up)\.(\d+)\.block\.", r"\1_blocks.\2.resnets."),
    (r"\b(down|up)\.(\d+)\.(down|up)sample\.", r"\1_blocks.\2.\3samplers.0."),
    (r"\bmid\.block_1\.", "mid_block.resnets.0."),
    (r"\bmid\.block_2\.", "mid_block.resnets.1."),
    (r"\bmid\.attn_1\.norm\.", "mid_block.attentions.0.group_norm."),
    (r"\bmid\.attn_1\.([qkv])\.", r"mid_block.attentions.0.to_\1."),
    (r"\bmid\.attn_1\.proj_out\.", "mid_block.attentions.0.to_out.0."),
    (
        r"\battentions\.0\.(q)uery\.|\battentions\.0\.(k)ey\.|\battentions\.0\.(v)alue\.",
        r"attentions.0.to_\1\2\3.",
    ),
    (r"\battentions\.0\.proj_attn\.", "attentions.0.to_out.0."),
    (r"\bnin_shortcut\.", "conv_shortcut."),
    (r"coder\.norm_out\.", "coder.conv_norm_out."),
]


def under_diffusers_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, whether LDM or an older or newer diffusers named them."""
    last = max(
        (int(level) for key in tensors for level in re.findall(r"decoder\.up\.(\d+)\.", key)), default=0
    )
    renamed = {}
    for name, tensor in tensors.items():
        name = re.sub(r"(?<=decoder\.up\.)\d+", lambda level: str(last - int(level[0])), name)
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        is_map = "attentions" in name and tensor.ndim > 2  # LDM's attention has 1x1 convolutions
        renamed[name] = tensor.flatten(1) if is_map else tensor
    return renamed


def image_names(config: TAEConfig, state: dict[str, Tensor]) -> dict[str, str]:
    """Names of a TAE's image half in `state`, and diffusers' names of the same tensors."""
    layers = {ours: theirs for ours, theirs in _layer_names(config) if f"{ours}.weight" in state}
    return {f"{ours}.{part}": f"{layers[ours]}.{part}" for ours in layers for part in ("weight", "bias")}


def _layer_names(config: TAEConfig) -> Iterator[tuple[str, str]]:
    """Every layer that the halves can have; which they do have depends on their widths."""
    yield "encoder.map.space", "quant_conv"
    yield "decoder.map.space", "post_quant_conv"
    for half, way, more in (("encoder", "down", 0), ("decoder", "up", 1)):
        yield f"{half}.stem.space", f"{half}.conv_in"
        for level in range(len(config.widths)):
            ours, theirs = f"{half}.levels.{level}", f"{half}.{way}_blocks.{level}"
            for block in range(config.blocks + more):
                yield from _block_names(f"{ours}.blocks.{block}", f"{theirs}.resnets.{block}")
            yield f"{ours}.resample.space", f"{theirs}.{way}samplers.0.conv"
        yield from _block_names(f"{half}.middle.before", f"{half}.mid_block.resnets.0")
        ours, theirs = f"{half}.middle.attention.space", f"{half}.mid_block.attentions.0"
        yield f"{ours}.norm", f"{theirs}.group_norm"
        yield f"{ours}.query", f"{theirs}.to_q"
        yield f"{ours}.key", f"{theirs}.to_k"
        yield f"{ours}.value", f"{theirs}.to_v"
        yield f"{ours}.out", f"{theirs}.to_out.0"
        yield from _block_names(f"{half}.middle.after", f"{half}.mid_block.resnets.1")
        yield f"{half}.norm", f"{half}.conv_norm_out"
        yield f"{half}.out.space", f"{half}.conv_out"


def _block_names(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.norm1", f"{theirs}.norm1"
    yield f"{ours}.conv1.space", f"{theirs}.conv1"
    yield f"{ours}.norm2", f"{theirs}.norm2"
    yield f"{ours}.conv2.space", f"{theirs}.conv2"
    yield f"{ours}.skip.space", f"{theirs}.conv_shortcut"
