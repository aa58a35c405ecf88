"""The first frame of a clip that is to be made, from an image file: what image-to-video adds to sampling."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from console import UserError
from inference.clips import cover
from inference.pipeline import Pipeline, Shape
from inference.pixels import to_values
from inference.prompts import Request
from models.conditioning.first_frame import channels, first_frame


def condition(
    pipeline: Pipeline, asked: Sequence[Request], shape: Shape
) -> Float[Tensor, "b t extra h w"] | None:
    """Extra channels of the transformer that give each request its image; None where no request has one."""
    if all(request.image is None for request in asked):
        return None
    config = pipeline.transformer.config
    needed = channels(config.latent_channels)
    if config.extra_channels != needed:
        raise UserError(
            f"The model cannot be given an image: it has {config.extra_channels} extra channels, {needed} "
            "are needed. Train one that has: lightning fit -c configs/i2v.yaml"
        )
    t, h, w = shape.latent(pipeline.tae.config)
    latents = {
        path: _latent(pipeline, path, shape)
        for path in {request.image for request in asked if request.image is not None}
    }
    absent = torch.zeros(1, config.latent_channels, h, w, device=pipeline.device)
    images = torch.stack([absent if each.image is None else latents[each.image] for each in asked])
    given = torch.tensor([each.image is not None for each in asked], device=pipeline.device)
    return first_frame(images, t, given)


def read_image(path: Path | str) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an image file, upright; transparent parts are shown on black."""
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))  # a copy that may be written to
    except FileNotFoundError:
        raise UserError(f"There is no image '{path}'.") from None
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise UserError(f"'{path}' cannot be read as an image ({error}). Give a PNG or JPEG file.") from error


@torch.no_grad()
def _latent(pipeline: Pipeline, path: str, shape: Shape) -> Float[Tensor, "1 c h w"]:
    """The normalised latent of an image alone, scaled until it covers the clip and cut to it."""
    pixels = cover(read_image(path), shape.width, shape.height)
    values = to_values(pixels[None, None]).to(pipeline.device)
    return pipeline.normalise(pipeline.tae.encode(values).mean)[0]
