"""A stage's config as the planner sees it: what it names is built on the meta device, without any data."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from console import UserError
from parallel.plan.layout import Layout
from parallel.plan.memory import Model
from parallel.plan.parameters import grouped
from parallel.plan.shape import Backbone, Batch, bucket_tokens

TEXT_TOKENS = 256  # of each encoder: Long-prompt MetaCLIP's limit (Sec. 3.1.4); of the others not disclosed
STRATEGY = "lightning_modules.strategy.MeshStrategy"


class Stage(NamedTuple):
    """What a config trains, on what, and how it means to lay it out."""

    model: Model
    batches: list[Batch]
    layout: Layout
    steps: int | None
    """trainer.max_steps."""


def read_stage(config: Mapping[str, Any], buckets: Sequence[str] = (), text: Sequence[int] = ()) -> Stage:
    """The stage that a parsed YAML describes.

    Args:
        config: model, data and trainer, as in configs/t2v.yaml.
        buckets: Names of buckets, where `data.batch_size` is one number for all.
        text: Tokens of each text encoder; by default data.max_tokens, or 256.

    Raises:
        UserError: Where the config has no transformer or does not say what is in a batch.
    """
    model, transformer = build(config)
    data = _arguments(config, "data")
    lengths = _text_lengths(transformer.config, data, text)
    batches = [
        Batch(samples=samples, tokens=_tokens(bucket, transformer.config.patch), text=lengths, name=bucket)
        for bucket, samples in _samples(data, buckets).items()
    ]
    trainer = config.get("trainer") or {}
    steps = trainer.get("max_steps")
    execution = _arguments(config, "model").get("execution") or {}
    layout = replace(layout_of(trainer), checkpointing=execution.get("checkpointing", "none"))
    return Stage(model, batches, layout, None if steps in (None, -1) else int(steps))


def build(config: Mapping[str, Any]) -> tuple[Model, Any]:
    """The planner's model and the transformer itself, on the meta device."""
    import torch
    from jsonargparse import ArgumentParser

    named = config.get("model") or {}
    kind = _find(str(named.get("class_path", "")))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "model", fail_untyped=False)
    try:
        with torch.device("meta"):
            parsed = parser.parse_object({"model": named.get("init_args") or {}})
            stage: Any = parser.instantiate_classes(parsed)["model"]
    except Exception as error:  # jsonargparse raises errors of several kinds for what a user wrote
        raise UserError(f"model: {' '.join(str(error).split())}") from error
    average = getattr(stage, "average", None)
    return describe(stage, average=average is not None)


def describe(stage: Any, *, average: bool = False) -> tuple[Model, Any]:
    """The first transformer of a module: its shape and its parameters, and the transformer."""
    for module in stage.modules():
        config = getattr(module, "config", None)
        if all(hasattr(config, field) for field in ("width", "layers", "heads", "feed_forward")):
            shapes = {name: tuple(each.shape) for name, each in module.named_parameters()}
            model = Model(_shape(config, shapes), grouped(shapes.items()), average)
            return model, module
    raise UserError(
        f"{type(stage).__name__} has no transformer; the planner knows transformers only. "
        "Give a config of one, such as configs/paper/t2v_768px.yaml."
    )


def layout_of(trainer: Mapping[str, Any]) -> Layout:
    """The layout that `trainer` asks for; a size that it leaves open counts as 1."""
    strategy = trainer.get("strategy")
    arguments = (strategy.get("init_args") or {}) if isinstance(strategy, Mapping) else {}
    mesh = {name: size for name, size in (arguments.get("mesh") or {}).items() if size is not None}
    sharding = arguments.get("sharding") or {}
    half = sharding.get("compute") == "bfloat16" or "bf16" in str(trainer.get("precision", ""))
    return Layout(
        **mesh,
        bytes_compute=2 if half else 4,
        accumulate=int(trainer.get("accumulate_grad_batches") or 1),
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """The config of a stage. Raises UserError where there is none."""
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no file '{path}'. Give a stage's config, as configs/t2v.yaml.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(tree, dict) or "model" not in tree:
        raise UserError(f"{path} has no 'model'. Give a stage's config, as configs/t2v.yaml.")
    return tree


def _find(class_path: str) -> type:
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"model.class_path '{class_path}' is not found: {error}. Name a stage, such as "
            "lightning_modules.t2v.T2VModule, and stand in the project's folder."
        ) from error
    return found


def _shape(config: Any, names: Iterable[str]) -> Backbone:
    gates = (".feed_forward.gate.weight", ".feed_forward.gate_up.weight")
    return Backbone(
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        feed_forward=config.feed_forward,
        patch_features=config.latent_channels * config.patch**2,
        text_widths=tuple(config.text_widths),
        qk_norm=config.qk_norm,
        gated=any(name.endswith(gates) for name in names),
    )


def _arguments(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return (config.get(key) or {}).get("init_args") or {}


def _samples(data: Mapping[str, Any], buckets: Sequence[str]) -> dict[str, int]:
    size, budget = data.get("batch_size"), data.get("tokens")
    if budget is not None and buckets:
        return {name: max(1, int(budget) // _tokens(name, int(data.get("patch") or 2))) for name in buckets}
    if isinstance(size, Mapping):
        unknown = sorted({*buckets} - {*map(str, size)})
        if unknown:
            raise UserError(f"data.batch_size has no bucket {', '.join(unknown)}; it has {', '.join(size)}.")
        return {str(name): int(each) for name, each in size.items() if not buckets or name in buckets}
    if not buckets:
        raise UserError(
            "The config does not say what a clip's size is. Give --bucket width x height x frames, as "
            "--bucket 768x768x256, or a batch size for each bucket in data.batch_size."
        )
    if size is None:
        raise UserError("data.batch_size or data.tokens is needed: what is in a batch of each data rank.")
    return dict.fromkeys(buckets, int(size))


def _tokens(bucket: str, patch: int) -> int:
    try:
        return bucket_tokens(bucket, patch)
    except ValueError as error:
        raise UserError(str(error)) from error


def _text_lengths(config: Any, data: Mapping[str, Any], text: Sequence[int]) -> tuple[int, ...]:
    encoders = len(config.text_widths)
    given = text or data.get("max_tokens") or TEXT_TOKENS
    lengths = (given,) * encoders if isinstance(given, int) else tuple(given)
    if len(lengths) != encoders:
        source = "--text-tokens" if text else "data.max_tokens"
        raise UserError(f"The model reads {encoders} text encoders; {source} gives {len(lengths)} lengths.")
    return lengths
