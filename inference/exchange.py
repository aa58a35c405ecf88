"""Models out and in: model folders, whole or sharded, and folders in the manner of diffusers.

out/README.md                 the model card
out/transformer/config.json   our config and facts, with the class names that diffusers would look for
out/transformer/diffusion_pytorch_model.safetensors   or in shards, with an index
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from console import UserError
from inference.card import model_card
from inference.diffusers_names import from_diffusers, to_diffusers
from inference.tensor_files import hash_tensors, read_tensors, write_tensors
from inference.weights import build_config, fill, load_model, save_model
from models.transformer import Transformer, TransformerConfig
from storage import write_json, write_text

PART, WEIGHTS = "transformer", "diffusion_pytorch_model"
CLASS = "MovieGenTransformer3DModel"  # diffusers has no class of the kind; its name says what the folder is
GIGA = 10**9


def export_folder(model: Path, out: Path, shard_gb: float | None = None) -> str:
    """Copy a model folder to `out` with a card, its tensors in files of at most `shard_gb` GB.

    Returns the hash of the tensors at `out`.
    """
    _empty(out)
    loaded = load_model(model)
    digest = save_model(out, loaded.model, loaded.facts, _bytes(shard_gb))
    _write_card(out, loaded, digest, f"python -m inference.run t2v ... --model {out.name}")
    return digest


def export_diffusers(model: Path, out: Path, shard_gb: float | None = None) -> str:
    """Write a transformer's folder in the manner of diffusers, with a card; returns the tensors' hash."""
    _empty(out)
    loaded = load_model(model, expect=Transformer)
    config = loaded.model.config
    part = out / PART
    part.mkdir(parents=True)
    tensors = to_diffusers(loaded.model.state_dict(), config.patch)
    write_tensors(part, tensors, _bytes(shard_gb), WEIGHTS)
    described = {"_class_name": CLASS, "config": dataclasses.asdict(config), "facts": loaded.facts}
    write_json(part / "config.json", described)
    digest = hash_tensors(part, WEIGHTS)
    _write_card(out, loaded, digest, f"python -m inference.run import --from {out.name} --out MODEL")
    return digest


def import_diffusers(source: Path, out: Path) -> str:
    """Read what `export_diffusers` wrote into a model folder; returns the hash of its tensors.

    A UserError names what is missing, unknown or of another shape.
    """
    part = source / PART if (source / PART).is_dir() else source
    described = _read_config(part)
    _empty(out)
    config = build_config(part, TransformerConfig, described["config"])
    tensors = read_tensors(part, WEIGHTS)
    if not tensors:
        raise UserError(f"'{part}' has no {WEIGHTS}.safetensors. Copy the folder again.")
    try:
        ours = from_diffusers(tensors, config.patch, gated=config.block == "llama")
    except KeyError as error:
        raise UserError(
            f"'{part}' has a tensor {error}, which a {CLASS} does not have. Is the model another project's?"
        ) from error
    with torch.random.fork_rng(devices=[]):  # building draws numbers; the caller's generator stays as it was
        model = Transformer(config)
    fill(model, ours, f"The tensors of '{part}' do not fit its config.json")
    return save_model(out, model, described["facts"])


def _read_config(part: Path) -> dict[str, Any]:
    path = part / "config.json"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"'{part}' has no config.json that can be read: {error}") from error
    found = described.get("_class_name") if isinstance(described, dict) else None
    if found != CLASS or not {"config", "facts"} <= set(described):
        raise UserError(
            f"{path} describes a {found}; a {CLASS} is needed, as this wrote: "
            "python -m inference.run export --form diffusers"
        )
    return described


def _write_card(out: Path, loaded: Any, digest: str, use: str) -> None:
    write_text(out / "README.md", model_card(loaded.model, loaded.facts, digest, use))


def _bytes(shard_gb: float | None) -> int | None:
    if shard_gb is not None and not shard_gb > 0:
        raise UserError(f"--shard-gb must be positive; {shard_gb} came.")
    return None if shard_gb is None else int(shard_gb * GIGA)


def _empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"'{out}' is there already. Give another --out, or remove it first.")
    if out.is_dir():
        shutil.rmtree(out)
