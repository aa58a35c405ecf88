"""Folders of open_clip: the config and the safetensors of a CLIP model, read and written."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from open_clip.model import CLIP, _build_text_tower
from open_clip.transformer import TextTransformer
from safetensors.torch import load_file, save_file
from torch import Tensor

CONFIG, TENSORS = "open_clip_config.json", "open_clip_model.safetensors"
NOT_TEXT = ("visual.", "logit_scale", "logit_bias")


class Clip(NamedTuple):
    """What a folder holds."""

    config: dict[str, Any]
    """open_clip's model_cfg: embed_dim, vision_cfg, text_cfg, quick_gelu."""
    tensors: dict[str, Tensor]
    """By the names of `open_clip.CLIP`, whose text tower has no prefix."""


def read_clip(folder: Path) -> Clip:
    """Read a folder; a ValueError says why its text tower is none of CLIP's own."""
    described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config = described.get("model_cfg", described)
    foreign = sorted({"hf_model_name", "hf_tokenizer_name", "tokenizer_kwargs"} & set(config["text_cfg"]))
    if foreign:
        raise ValueError(
            f"{folder / CONFIG}: the text tower names {', '.join(foreign)}; only CLIP's own tower and BPE "
            "tokenizer are read here. Give the folder of the transformers model instead."
        )
    tensors = load_file(_weights(folder))
    return Clip(config, {key.removeprefix("text."): tensor for key, tensor in tensors.items()})


def write_clip(folder: Path, clip: Clip) -> None:
    """Write a folder that open_clip opens as local-dir:FOLDER, and `read_clip` too."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in clip.tensors.items()}, folder / TENSORS)
    (folder / CONFIG).write_text(json.dumps({"model_cfg": clip.config}, indent=1) + "\n", encoding="utf-8")


def text_tower(clip: Clip) -> TextTransformer:
    """The text tower with its weights."""
    tower = _build_text_tower(
        clip.config["embed_dim"], clip.config["text_cfg"], bool(clip.config.get("quick_gelu"))
    )
    tower.load_state_dict(
        {key: tensor for key, tensor in clip.tensors.items() if not key.startswith(NOT_TEXT)}
    )
    assert isinstance(tower, TextTransformer)
    return tower


def whole_model(clip: Clip) -> CLIP:
    """Both towers with their weights."""
    model = CLIP(**{key: clip.config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")},
                 quick_gelu=bool(clip.config.get("quick_gelu")))  # fmt: skip
    model.load_state_dict(clip.tensors)
    return model


def _weights(folder: Path) -> Path:
    named = folder / TENSORS
    return named if named.is_file() else sorted(folder.glob("*.safetensors"))[0]
