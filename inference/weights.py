"""Model folders: what a fit leaves behind and inference opens.

`config.json` says what the model is and which facts go with it, `model.safetensors` holds its tensors, or
several files and their index do.
Nothing is pickled, so opening a stranger's folder runs none of a stranger's code.
"""

import dataclasses
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

import torch
from torch import nn

from console import UserError
from inference.tensor_files import empty_tensors, hash_tensors, read_tensors, tensor_files, write_tensors
from storage import sync, write_json

Model = TypeVar("Model", bound=nn.Module)

FORMAT = 1
CONFIG, TENSORS = "config.json", "model.safetensors"
KNOWN = {  # name in config.json: (module, model class, its config). A folder can name these and nothing else.
    "models.tae.TAE": ("models.tae", "TAE", "TAEConfig"),
    "models.transformer.Transformer": ("models.transformer", "Transformer", "TransformerConfig"),
}
TRAINED_BY = {
    "models.tae.TAE": "lightning fit -c configs/tae.yaml",
    "models.transformer.Transformer": "lightning fit -c configs/t2v.yaml",
}


class LoadedModel(NamedTuple, Generic[Model]):
    """A model in eval mode on the CPU, the facts stored with it, and the hash of its tensor files."""

    model: Model
    facts: dict[str, Any]
    hash: str


class ModelFolder(NamedTuple):
    """A model folder of which all was read but the tensors."""

    path: Path
    """Where it is at this moment."""
    kind: type[nn.Module]
    """Class of the model."""
    config: Any
    """Its shape."""
    facts: dict[str, Any]
    """Stored with it."""


def save_model(
    folder: Path | str, model: nn.Module, facts: dict[str, Any], shard_bytes: int | None = None
) -> str:
    """Write `model` (with a dataclass at `.config`) and `facts` to `folder`; returns the hash of the tensors.

    The tensors are one file, or files of at most `shard_bytes` with an index.
    The folder appears whole. An older one of that name is moved aside first and removed last, so that a whole
    folder exists at every instant, and `load_model` finds it.
    """
    return save_tensors(folder, model.state_dict(), describe_model(model, facts), shard_bytes)


def describe_model(model: nn.Module, facts: dict[str, Any]) -> dict[str, Any]:
    """What config.json says of `model`."""
    name = _name_of(type(model))
    config = dataclasses.asdict(model.config)  # pyright: ignore[reportArgumentType]
    return {"format": FORMAT, "model": name, "config": config, "facts": facts}


def save_tensors(
    folder: Path | str,
    tensors: Mapping[str, torch.Tensor],
    description: dict[str, Any],
    shard_bytes: int | None = None,
) -> str:
    """`save_model` where the tensors are at hand and not the model; `description` is of `describe_model`."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _recover(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent))
    try:
        for path in write_tensors(temporary, tensors, shard_bytes):
            sync(path)
        write_json(temporary / CONFIG, description)
        digest = hash_tensors(temporary)
        temporary.chmod(0o755)
        _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return digest


@overload
def load_model(folder: Path | str, expect: str | None = None) -> LoadedModel[nn.Module]: ...
@overload
def load_model(folder: Path | str, expect: type[Model]) -> LoadedModel[Model]: ...
def load_model(folder: Path | str, expect: type[nn.Module] | str | None = None) -> LoadedModel:
    """Open a model folder; what does not fit is a UserError that names the file, the key and both shapes.

    `expect` is the class that it must be, such as TAE, or its name in KNOWN.
    """
    opened = open_folder(folder, expect)
    with torch.random.fork_rng(devices=[]):  # building draws numbers; the caller's generator stays as it was
        model = opened.kind(opened.config)
    fill(model, read_tensors(opened.path), _misfit(opened.path))
    return LoadedModel(model.eval().requires_grad_(False), opened.facts, hash_tensors(opened.path))


def open_folder(folder: Path | str, expect: type[nn.Module] | str | None = None) -> ModelFolder:
    """What a model folder says of itself, as `load_model` reads it; no tensor is read."""
    folder = Path(folder)
    if (
        not folder.exists() and _aside(folder).exists()
    ):  # a save is between its two renames, or was killed there
        folder = _aside(folder)
    described = _read_config(folder, _name_of(expect) if isinstance(expect, type) else expect)
    name = described["model"]
    model_class, config_class = _classes(folder, name)
    config = build_config(folder, config_class, described["config"])
    return ModelFolder(folder, model_class, config, described["facts"])


def check_tensors(opened: ModelFolder) -> None:
    """Compare names and shapes of a folder's tensors with its config, as `load_model` does; none is read."""
    with torch.device("meta"):
        needed = opened.kind(opened.config).state_dict()
    _compare(empty_tensors(opened.path), needed, _misfit(opened.path))


def fill(model: nn.Module, tensors: dict[str, torch.Tensor], fault: str) -> None:
    """Load `tensors` into `model`; where they do not fit, a UserError that begins with `fault` names them."""
    _compare(tensors, model.state_dict(), fault)
    model.load_state_dict(tensors)


def _misfit(folder: Path) -> str:
    return f"{folder / TENSORS} does not fit {folder / CONFIG}"


def _name_of(model: type[nn.Module]) -> str:
    classes = {(parent.__module__, parent.__name__) for parent in model.__mro__}  # FSDP2 makes a class of it
    for name, (module, class_name, _) in KNOWN.items():
        if any(called == class_name and where.startswith(module) for where, called in classes):
            return name
    raise ValueError(f"{model.__qualname__} is no known model. Add it to inference.weights.KNOWN.")


def _classes(folder: Path, name: str) -> tuple[type[nn.Module], type]:
    if name not in KNOWN:
        raise UserError(f"{folder / CONFIG} names the model '{name}'. Known are: {', '.join(KNOWN)}.")
    module_name, class_name, config_name = KNOWN[name]
    module = importlib.import_module(module_name)
    return getattr(module, class_name), getattr(module, config_name)


def _read_config(folder: Path, expect: str | None) -> dict[str, Any]:
    hint = f" Train one with: {TRAINED_BY[expect]}" if expect in TRAINED_BY else ""
    if not folder.is_dir():
        raise UserError(f"There is no model folder '{folder}'.{hint}")
    for name, found in ((CONFIG, (folder / CONFIG).is_file()), (TENSORS, bool(tensor_files(folder)))):
        if not found:
            raise UserError(f"'{folder}' is no model folder: it lacks {name}.{hint}")
    try:
        described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        version = described["format"]
        keys = described["model"], described["config"], described["facts"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / CONFIG} is not a model's description ({error!r}).{hint}") from error
    if version != FORMAT:
        raise UserError(f"{folder / CONFIG} has format {version}; this version reads format {FORMAT}.")
    if expect is not None and keys[0] != expect:
        raise UserError(f"'{folder}' holds a {keys[0]}; a {expect} is needed here.{hint}")
    return described


def build_config(folder: Path, config_class: type, values: dict[str, Any]) -> Any:
    """The config that a folder's config.json describes; what it does not know is a UserError."""
    fields = {field.name for field in dataclasses.fields(config_class)}
    unknown = sorted(set(values) - fields)
    if unknown:
        raise UserError(
            f"{folder / CONFIG}: {config_class.__name__} has no {', '.join(map(repr, unknown))}. "
            f"It has: {', '.join(sorted(fields))}. Was the folder written by another version?"
        )
    try:
        return config_class(**{key: _tuples(value) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder / CONFIG} does not describe a {config_class.__name__}: {error}") from error


def _tuples(value: Any) -> Any:
    """JSON has no tuples; frozen configs have no lists."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _compare(found: dict[str, torch.Tensor], needed: dict[str, torch.Tensor], fault: str) -> None:
    faults = [f"'{key}' is missing (needed: {_shape(needed[key])})" for key in needed if key not in found]
    faults += [f"'{key}' ({_shape(found[key])}) has no place there" for key in found if key not in needed]
    faults += [
        f"'{key}' is {_shape(found[key])}, the config needs {_shape(needed[key])}"
        for key in needed
        if key in found and found[key].shape != needed[key].shape
    ]
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise UserError(f"{fault}: {'; '.join(faults[:5])}{more}. Take the files from the same run.")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _aside(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.older"


def _swap(temporary: Path, folder: Path) -> None:
    """Put `temporary` at `folder`. No rename replaces a full folder, so the older one steps aside first."""
    aside = _aside(folder)
    if folder.exists():
        os.rename(folder, aside)
    try:
        os.rename(temporary, folder)
    except BaseException:
        if aside.exists():
            os.rename(aside, folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
    sync(folder.parent)


def _recover(folder: Path) -> None:
    """Clear up after a killed save: bring the older folder back, or drop it where the newer stands."""
    aside = _aside(folder)
    if aside.exists() and not folder.exists():
        os.rename(aside, folder)
    elif aside.exists():
        shutil.rmtree(aside, ignore_errors=True)
