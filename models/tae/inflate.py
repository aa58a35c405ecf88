"""Image autoencoders into TAEs, with a temporal half that changes nothing (Sec. 3.1.1), and back."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.tae.autoencoder import LOGVAR_START, TAE
from models.tae.config import TAEConfig
from models.tae.image_file import WEIGHTS, ImageAutoencoder, read_image_autoencoder
from models.tae.image_names import image_names
from models.tae.temporal import TemporalAttention, TemporalConv
from storage import atomic_path, write_json

SHOWN = 5  # faults of a file that a message names


class Inflation(NamedTuple):
    """What `inflate` did."""

    tensors: int
    """Tensors taken from the file."""
    latent_channels: int
    """Channels of the file's latent: the first ones of the TAE's."""
    new_channels: int
    """Further channels of the TAE's latent, which its decoder does not listen to yet."""
    statistics: bool
    """Whether the file's scaling and shift factors became the TAE's latent statistics."""


@torch.no_grad()
def inflate(tae: TAE, path: Path) -> Inflation:
    """Give `tae` the weights of the image autoencoder at `path`, and a temporal half that is the identity.

    Each frame of a still video is then encoded and decoded as the image autoencoder would. A latent of more
    channels than the file's is allowed: the decoder's weights for the new ones are zero, so nothing that is
    decoded changes; the encoder's stay as they were drawn, so that both can learn. The file's scaling and
    shift factors, if any, become the latent statistics until a validation measures those of videos.
    """
    if tae.config.halves == "compact":
        raise ValueError("compact halves have no image autoencoder inside. Choose tae.halves: inflated.")
    image = read_image_autoencoder(path)
    state = tae.state_dict()
    names = image_names(tae.config, state)
    theirs = _latent_channels(image, tae.config.latent_channels)
    needed = {names[key]: _shape_in_file(key, state[key], tae.config, theirs) for key in names}
    _check(path, image, tae.config, needed)
    for key, name in names.items():
        rows, columns = _latent_axes(key, tae.config.latent_channels, theirs)
        _place(image.tensors[name], state[key], rows, columns)
    state[_last_bias(tae.config)].view(2, -1)[1, :theirs] -= LOGVAR_START  # which `TAE.encode` adds
    for module in tae.modules():
        if isinstance(module, TemporalConv | TemporalAttention):
            module.reset_parameters()
    statistics = image.latent_statistics
    if statistics is not None:
        state["latent_mean"][:theirs], state["latent_std"][:theirs] = statistics
    return Inflation(len(names), theirs, tae.config.latent_channels - theirs, statistics is not None)


@torch.no_grad()
def export_image_autoencoder(tae: TAE, folder: Path) -> None:
    """Write a frame-wise TAE as a folder that diffusers' `AutoencoderKL.from_pretrained` reads."""
    config = tae.config
    if config.halves != "framewise":
        raise ValueError(
            f"A TAE with {config.halves} halves is no image autoencoder; only framewise ones are."
        )
    state = {key: value.detach().cpu().clone() for key, value in tae.state_dict().items()}
    state[_last_bias(config)].view(2, -1)[1] += LOGVAR_START
    tensors = {name: state[key].contiguous() for key, name in image_names(config, state).items()}
    with atomic_path(folder / f"{WEIGHTS}.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_json(folder / "config.json", _diffusers_config(tae))


def _last_bias(config: TAEConfig) -> str:
    """The bias that ends the encoder: means, then log-variances."""
    return f"encoder.{'map' if config.latent_maps else 'out'}.space.bias"


def _latent_channels(image: ImageAutoencoder, most: int) -> int:
    """Channels of the file's latent; `most` where it has more or none, which `_check` then reports."""
    stem = image.tensors.get("decoder.conv_in.weight", torch.empty(0))
    return stem.shape[1] if stem.ndim == 4 and stem.shape[1] <= most else most


def _latent_axes(key: str, ours: int, theirs: int) -> tuple[list[int] | None, list[int] | None]:
    """Which outputs and which inputs of a layer are the file's; None is all."""
    latent = list(range(theirs))
    moments = latent + [ours + channel for channel in latent]  # means, then log-variances
    layers = {
        "encoder.out.space": (moments, None),
        "encoder.map.space": (moments, moments),
        "decoder.map.space": (latent, latent),
        "decoder.stem.space": (None, latent),
    }
    return layers.get(key.rpartition(".")[0], (None, None))


def _place(found: Tensor, target: Tensor, rows: list[int] | None, columns: list[int] | None) -> None:
    """Write `found` into `rows` and `columns` of `target`; what else those outputs would hear is zero."""
    rows = list(range(len(target))) if rows is None else rows
    target[rows] = 0
    if target.ndim == 1:
        target[rows] = found.to(target)
        return
    centre = _image_kernel(target)
    columns = list(range(centre.shape[1])) if columns is None else columns
    centre[torch.tensor(rows)[:, None], torch.tensor(columns)] = found.to(target)


def _image_kernel(weight: Tensor) -> Tensor:
    """The part of a weight that an image autoencoder has: the centre tap of a 3D kernel."""
    return weight[:, :, weight.shape[2] // 2] if weight.ndim == 5 else weight


def _shape_in_file(key: str, ours: Tensor, config: TAEConfig, theirs: int) -> list[int]:
    shape = list(_image_kernel(ours).shape)
    for axis, kept in enumerate(_latent_axes(key, config.latent_channels, theirs)[: len(shape)]):
        shape[axis] = shape[axis] if kept is None else len(kept)
    return shape


def _check(path: Path, image: ImageAutoencoder, config: TAEConfig, needed: dict[str, list[int]]) -> None:
    """Refuse a file of another architecture: what differs first, and the shape that would fit."""
    found = {name: list(tensor.shape) for name, tensor in image.tensors.items()}
    faults = [f"'{name}' ({needed[name]}) is missing there" for name in needed if name not in found]
    faults += [f"'{name}' ({found[name]}) has no place here" for name in found if name not in needed]
    faults += [
        f"'{name}' is {found[name]} there, {needed[name]} here"
        for name in needed
        if name in found and found[name] != needed[name]
    ]
    for field, value in (("norm_num_groups", config.groups), ("act_fn", "silu")):
        theirs = image.config.get(field, value)
        if theirs != value:
            faults.append(f"{field} is {theirs} there, {value} here")
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ValueError(
            f"The image autoencoder '{path}' does not fit this TAE:\n  "
            + "\n  ".join(faults[:SHOWN])
            + f"{more}\n{_advice(image)}"
        )


def _advice(image: ImageAutoencoder) -> str:
    level = "encoder.down_blocks.{}.resnets.{}.conv1.weight"
    widths, blocks = [], 0
    while (conv := image.tensors.get(level.format(len(widths), 0))) is not None and conv.ndim == 4:
        widths.append(conv.shape[0])
    while level.format(0, blocks) in image.tensors:
        blocks += 1
    stem = image.tensors.get("decoder.conv_in.weight")
    if not widths or stem is None:
        return "It is no AutoencoderKL of images: give the file of one (SD 1.5, XL, 3.5 or FLUX)."
    maps = str("quant_conv.weight" in image.tensors).lower()
    groups = image.config.get("norm_num_groups", 32)
    return (
        f"It would fit widths {widths}, blocks {blocks}, groups {groups}, latent_maps {maps} and "
        f"latent_channels of at least {stem.shape[1]}. Set tae so, or give another file."
    )


def _diffusers_config(tae: TAE) -> dict[str, Any]:
    config, levels = tae.config, len(tae.config.widths)
    return {
        "_class_name": "AutoencoderKL",
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": list(config.widths),
        "layers_per_block": config.blocks,
        "latent_channels": config.latent_channels,
        "norm_num_groups": config.groups,
        "use_quant_conv": config.latent_maps,
        "use_post_quant_conv": config.latent_maps,
        "scaling_factor": 1.0,  # the statistics are per channel
        "latents_mean": tae.latent_mean.tolist(),
        "latents_std": tae.latent_std.tolist(),
    }
