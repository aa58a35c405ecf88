"""Weight files of image autoencoders, as diffusers and LDM write them, read under the names of diffusers.

A folder of diffusers' `AutoencoderKL` (or of a pipeline that has one as `vae`), or a file: .safetensors, or a
pickled state dict of tensors alone. Whole Stable Diffusion checkpoints are fine: the rest stays unread.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.tae.image_names import under_diffusers_names

WEIGHTS = "diffusion_pytorch_model"
SCALING = 0.18215  # diffusers' for a config.json that names none: SD 1.5's
PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
PREFIXES = ("first_stage_model.", "vae.", "")  # of the autoencoder in a whole checkpoint, and of one alone


class ImageAutoencoder(NamedTuple):
    """What a file holds."""

    tensors: dict[str, Tensor]
    """By diffusers' names."""
    config: dict[str, Any]
    """The config.json beside them; empty for a single file."""

    @property
    def latent_statistics(self) -> tuple[Tensor, Tensor] | None:
        """Mean and deviation of the latents' channels, which diffusers calls shift and 1 / scaling factor."""
        if not self.config:
            return None
        scaling = self.config.get("scaling_factor") or SCALING
        shift = self.config.get("shift_factor") or 0.0
        mean, std = self.config.get("latents_mean"), self.config.get("latents_std")
        return torch.tensor(mean or shift), torch.tensor(std or 1.0) / scaling


def read_image_autoencoder(path: Path) -> ImageAutoencoder:
    """Read a folder or a file; a ValueError says what is wrong with it."""
    if path.is_dir():
        folder = path if (path / "config.json").is_file() else path / "vae"
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"'{path}' has no config.json, nor a folder vae with one. Name an AutoencoderKL."
            )
        config = _read_json(folder / "config.json")
        files = _weight_files(folder)
    elif path.is_file():
        config, files = {}, [path]
    else:
        raise ValueError(f"There is no '{path}'. Give the folder or the file of an image autoencoder.")
    tensors = {key: tensor for file in files for key, tensor in _read_tensors(file).items()}
    if not tensors:
        raise ValueError(
            f"'{path}' holds no image autoencoder: no tensor is called encoder... or "
            "first_stage_model.encoder... Give the file of an AutoencoderKL, or a checkpoint that holds one."
        )
    return ImageAutoencoder(under_diffusers_names(tensors), config)


def _weight_files(folder: Path) -> list[Path]:
    """The whole file, or the shards that an index names; safetensors before pickles, float32 before less."""
    for suffix in (".safetensors", ".bin"):
        whole = folder / f"{WEIGHTS}{suffix}"
        if whole.is_file():
            return [whole]
        for index in sorted(folder.glob(f"{WEIGHTS}*{suffix}.index*.json")):
            shards = _read_json(index)["weight_map"].values()
            return [folder / Path(name).name for name in sorted(set(shards))]
        for variant in sorted(folder.glob(f"{WEIGHTS}.*{suffix}")):
            return [variant]
    raise ValueError(f"'{folder}' has no {WEIGHTS}.safetensors or .bin. Copy the folder again, whole.")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{file}' is no JSON ({error}). Copy the folder again.") from error


def _read_tensors(file: Path) -> dict[str, Tensor]:
    """Tensors of the autoencoder in `file`, without what comes before their names."""
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt", device="cpu") as opened:
                names = _names(opened.keys())
                return {short: opened.get_tensor(name) for short, name in names.items()}
        state = torch.load(file, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        return {short: state[name] for short, name in _names(state).items()}
    except OSError as error:
        raise ValueError(f"'{file}' cannot be read: {error}") from error
    except SafetensorError as error:
        raise ValueError(
            f"'{file}' is no safetensors file or is damaged ({error}). Copy it again."
        ) from error
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"'{file}' holds more than tensors, or is damaged ({reason}). Nothing that could run code is "
            "loaded: take the .safetensors file of the same model."
        ) from error


def _names(keys: Iterable[str]) -> dict[str, str]:
    """Short names of the autoencoder's tensors, and the names that they have in the file."""
    keys = list(keys)
    for prefix in PREFIXES:
        found = {key.removeprefix(prefix): key for key in keys if key.startswith(prefix)}
        found = {short: key for short, key in found.items() if short.startswith(PARTS)}
        if found:
            return found
    return {}
