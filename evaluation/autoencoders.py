"""One face for every autoencoder that reconstructions are compared with: our TAE and diffusers' by path.

A peer's scaling of latents is left out: it is undone before decoding. What counts is how many numbers its
latent has and what comes back.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from console import UserError
from inference.weights import CONFIG, load_model
from models.tae import TAE

Video = Float[Tensor, "b t 3 h w"]


class Factors(NamedTuple):
    """How many frames, and how many rows and columns, one position of the latent stands for."""

    time: int
    space: int


class Coded(NamedTuple):
    """What came back of a video, and how many numbers it was in between."""

    video: Video
    elements: int


class Autoencoder(Protocol):
    """Encodes and decodes videos in [-1, 1] of any shape; the shape comes back."""

    factors: Factors
    channels: int
    parameters: int

    def __call__(self, video: Video) -> Coded:
        """Through the mean (or mode) of the posterior and back, in [-1, 1]."""
        ...


class TAECoder:
    """Our own, which takes videos of any length as they are."""

    def __init__(self, tae: TAE) -> None:
        self._tae = tae
        self.factors = Factors(tae.config.time_factor, tae.config.space_factor)
        self.channels = tae.config.latent_channels
        self.parameters = _parameters(tae)

    @torch.no_grad()
    def __call__(self, video: Video) -> Coded:
        frames, _, rows, columns = video.shape[1:]
        latent = self._tae.encode(continued(video, frames, self.factors.space)).mean
        back = self._tae.decode(latent, frames=frames)
        return Coded(back[..., :rows, :columns].clamp(-1, 1), latent.numel())


class FrameVAE:
    """diffusers' image autoencoder, frame by frame."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        self.factors = Factors(1, 2 ** (len(vae.config.block_out_channels) - 1))
        self.channels = vae.config.latent_channels
        self.parameters = _parameters(vae)

    @torch.no_grad()
    def __call__(self, video: Video) -> Coded:
        clips, frames, _, rows, columns = video.shape
        flat = rearrange(continued(video, frames, self.factors.space), "b t c h w -> (b t) c h w")
        latent = self._vae.encode(flat).latent_dist.mode()
        back = rearrange(self._vae.decode(latent).sample, "(b t) c h w -> b t c h w", b=clips)
        return Coded(back[..., :rows, :columns].clamp(-1, 1), latent.numel())


class CausalVAE:
    """A video autoencoder of diffusers. All are causal: a first frame by itself, then `time` to a latent."""

    def __init__(self, vae: Any, factors: Factors) -> None:
        self._vae = vae
        self.factors = factors
        self.channels = getattr(vae.config, "latent_channels", None) or vae.config.z_dim
        self.parameters = _parameters(vae)

    @torch.no_grad()
    def __call__(self, video: Video) -> Coded:
        frames, _, rows, columns = video.shape[1:]
        whole = 1 + -(-(frames - 1) // self.factors.time) * self.factors.time
        asked = rearrange(continued(video, whole, self.factors.space), "b t c h w -> b c t h w")
        latent = self._vae.encode(asked).latent_dist.mode()
        back = rearrange(self._vae.decode(latent, **self._decoding(latent)).sample, "b c t h w -> b t c h w")
        return Coded(back[:, :frames, :, :rows, :columns].clamp(-1, 1), latent.numel())

    def _decoding(self, latent: Tensor) -> dict[str, Tensor]:
        """A decoder that also denoises (LTX 0.9.1 on) is told, as by its pipeline, that there is no noise."""
        if not self._vae.config.get("timestep_conditioning"):
            return {}
        return {"temb": latent.new_zeros(len(latent))}


def open_autoencoder(folder: Path | str, device: torch.device) -> Autoencoder:
    """Our model folder or one of diffusers (a pipeline's folder is searched for its vae/), in float32."""
    folder = Path(folder).expanduser()
    if not (folder / CONFIG).is_file() and (folder / "vae" / CONFIG).is_file():
        folder = folder / "vae"
    described = _described(folder)
    if "_class_name" not in described:
        return TAECoder(load_model(folder, TAE).model.to(device))
    name = described["_class_name"]
    if name not in DIFFUSERS:
        raise UserError(f"'{folder}' holds a {name}. {_KNOWN}")
    return DIFFUSERS[name](_load(folder, name).to(device))


def continued(video: Video, frames: int, multiple: int) -> Video:
    """Repeat the last frame until there are `frames`, the last row and column until `multiple` divides."""
    missing = frames - video.shape[1]
    if missing:
        video = torch.cat([video, video[:, -1:].expand(-1, missing, -1, -1, -1)], dim=1)
    below, right = (-size % multiple for size in video.shape[-2:])
    if not below and not right:
        return video
    flat = rearrange(video, "b t c h w -> (b t) c h w")
    return rearrange(pad(flat, (0, right, 0, below), mode="replicate"), "(b t) c h w -> b t c h w", t=frames)


def _described(folder: Path) -> dict[str, Any]:
    try:
        described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"'{folder}' is no folder of an autoencoder: it has no {CONFIG}. {_KNOWN}") from None
    except ValueError as error:
        raise UserError(f"{folder / CONFIG} is not JSON ({error}). Copy the folder again.") from error
    if not isinstance(described, dict) or not {"_class_name", "model"} & set(described):
        raise UserError(f"{folder / CONFIG} does not say what the folder holds. {_KNOWN}")
    return described


def _load(folder: Path, name: str) -> nn.Module:
    try:
        import diffusers
    except ImportError as error:
        raise UserError(
            f"'{folder}' is a {name} of diffusers, which is not installed. Run: "
            "pip install 'moviegen-lightning[peers]'"
        ) from error
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    try:
        vae, loading = getattr(diffusers, name).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:400]
        raise UserError(f"'{folder}' cannot be opened as {name}: {reason}") from error
    if wrong := [*loading["missing_keys"], *loading["mismatched_keys"]]:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(f"'{folder}' lacks the tensor {wrong[0]}{more} of a {name}. Copy the folder again.")
    return vae.eval().requires_grad_(False)


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _by_attributes(vae: Any) -> CausalVAE:
    return CausalVAE(vae, Factors(vae.temporal_compression_ratio, vae.spatial_compression_ratio))


def _by_config(vae: Any) -> CausalVAE:
    config = vae.config
    return CausalVAE(vae, Factors(config.temporal_compression_ratio, config.spatial_compression_ratio))


def _wan(vae: Any) -> CausalVAE:
    return CausalVAE(vae, Factors(vae.config.scale_factor_temporal, vae.config.scale_factor_spatial))


def _cogvideox(vae: Any) -> CausalVAE:
    levels = len(vae.config.block_out_channels)
    return CausalVAE(vae, Factors(int(vae.config.temporal_compression_ratio), 2 ** (levels - 1)))


DIFFUSERS: dict[str, Callable[[Any], Autoencoder]] = {  # a config.json can name these and nothing else
    "AutoencoderKL": FrameVAE,
    "AutoencoderKLWan": _wan,
    "AutoencoderKLHunyuanVideo": _by_attributes,
    "AutoencoderKLCogVideoX": _cogvideox,
    "AutoencoderKLLTXVideo": _by_attributes,
    "AutoencoderKLCosmos": _by_config,
}
_KNOWN = f"Compared are our model folders and diffusers' {', '.join(DIFFUSERS)}, saved as safetensors."
