"""YAML to frozen dataclasses: unknown keys and wrong types are named, with the nearest key that exists."""

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from console import UserError

Built = TypeVar("Built")


def build(kind: type[Built], values: Any, where: str) -> Built:
    """An instance of the dataclass `kind` from a mapping; `where` names the place in error messages."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: expected keys with values, got {values!r}.")
    hints = get_type_hints(kind)
    known = {f.name: hints[f.name] for f in fields(kind)}  # pyright: ignore[reportArgumentType]
    for key in values:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}{suggest(key, known)}. Known: {', '.join(known)}.")
    ready = {key: _convert(known[key], value, f"{where}, {key}") for key, value in values.items()}
    try:
        return kind(**ready)
    except TypeError as error:  # a key without a default is missing
        raise UserError(f"{where}: {str(error).split('() ')[-1]}.") from error


def suggest(key: str, known: Iterable[str]) -> str:
    """`, did you mean ...?` where something known is near."""
    near = difflib.get_close_matches(str(key), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _convert(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return _any_of(get_args(hint), value, where)
    if get_origin(hint) is tuple:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise UserError(f"{where}: expected a list, got {value!r}.")
        inner = get_args(hint)
        each = [inner[0]] * len(list(value)) if inner[-1] is Ellipsis else inner
        if len(each) != len(list(value)):
            raise UserError(f"{where}: expected {len(each)} values, got {value!r}.")
        return tuple(_convert(one, item, where) for one, item in zip(each, value, strict=True))
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: expected keys with values, got {value!r}.")
        return {str(key): _convert(get_args(hint)[1], item, f"{where}, {key}") for key, item in value.items()}
    if is_dataclass(hint):
        return build(hint, value, where)  # pyright: ignore[reportArgumentType]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint in (int, float) and isinstance(value, bool)):
        return value
    raise UserError(f"{where}: expected {hint.__name__}, got {value!r}.")


def _any_of(hints: tuple, value: Any, where: str) -> Any:
    if value is None and type(None) in hints:
        return None
    named = [hint for hint in hints if hint is not type(None)]
    for hint in named:
        try:
            return _convert(hint, value, where)
        except UserError:
            continue
    raise UserError(f"{where}: expected {' or '.join(hint.__name__ for hint in named)}, got {value!r}.")
