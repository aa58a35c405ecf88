"""What is wrong with a config, in one message: the key that does not exist, its place and what was meant."""

import dataclasses
import difflib
import importlib
import inspect
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from console import UserError

CLASS_KEYS = ("class_path", "init_args", "dict_kwargs")
Path_ = tuple[str, ...]  # the way down to a key, as ("trainer", "max_steps")


class Mistake(NamedTuple):
    """A key that nothing takes, and the keys that its place does take."""

    path: Path_
    valid: tuple[str, ...]


def merged_config(args: list[str]) -> tuple[dict[str, Any], dict[Path_, str]]:
    """The config files and options of a command line as one tree, and the source of each of its keys."""
    tree: dict[str, Any] = {}
    sources: dict[Path_, str] = {}
    for file in _config_files(args):
        _merge(tree, _read(file), file, sources)
    for option, value in _options(args):
        branch: Any = value
        for key in reversed(option.split(".")):
            branch = {key: branch}
        _merge(tree, branch, f"--{option}", sources)
    return tree, sources


def source_of(path: Path_, sources: dict[Path_, str]) -> str:
    """The file or option that gave a key, or the part of the tree that it is in."""
    return next((sources[path[:end]] for end in range(len(path), 0, -1) if path[:end] in sources), "config")


def unknown_keys(tree: dict[str, Any], dests: Iterable[str]) -> Iterator[Mistake]:
    """Every key of `tree` that neither the parser (its `dests`, as "trainer.max_steps") nor a class takes."""
    dests = list(dests)
    top = tuple(sorted({dest.split(".")[0] for dest in dests}))
    for key, value in tree.items():
        if key not in top:
            yield Mistake((key,), top)
            continue
        group = tuple(
            dest.split(".")[1] for dest in dests if dest.startswith(f"{key}.") and dest.count(".") == 1
        )
        yield from _unknown_in(value, (key,), group)


def describe(mistake: Mistake, source: str, dests: Iterable[str]) -> str:
    """One sentence that names the offending key, its source and its nearest match."""
    key, place = mistake.path[-1], ".".join(mistake.path[:-1])
    where = f"'{place}'" if place else "the top level"
    near = difflib.get_close_matches(key, mistake.valid, n=1, cutoff=0.5)
    elsewhere = [dest for dest in dests if dest.split(".")[-1] == key]
    if near:
        hint = f" Did you mean '{near[0]}'?"
    elif elsewhere:
        hint = f" Did you mean '{elsewhere[0]}'?"
    else:
        hint = f" It takes: {', '.join(mistake.valid)}."
    return f"{source}: '{'.'.join(mistake.path)}' does not exist; {where} has no key '{key}'.{hint}"


def explain(message: str, args: list[str], dests: Iterable[str]) -> str:
    """The parser's `message` about `args`, made short; a misspelt key is named with its nearest match."""
    dests = list(dests)
    missing = re.search(r"File does not exist: '?([^'\n]+)'?", message)
    if missing:
        return _no_file(Path(missing[1]))
    tree, sources = merged_config(args)
    for mistake in unknown_keys(tree, dests):
        return describe(mistake, source_of(mistake.path, sources), dests)
    if found := re.search(r"Problem with given class_path '([^']+)':\s*(.+)", message):
        return f"class_path '{found[1]}': {found[2].strip()}.{_near_class(found[1])}"
    if found := re.search(r'Parser key "([^"]+)":\s*Expected a (.+?)\.? Got value: (.*)', message):
        if found[3] == "None":
            return f"'{found[1]}' is needed: give it in a config or as --{found[1]}."
        return f"'{found[1]}' must be {_plain_type(found[2])}; '{found[3]}' came."
    if found := re.search(r"the following arguments are required: (.+)", message):
        return f"'{found[1].removeprefix('fit.')}' is needed: give it in a config (-c FILE) or as an option."
    return " ".join(message.split())


def _unknown_in(value: Any, path: Path_, group: tuple[str, ...] = ()) -> Iterator[Mistake]:
    """Unknown keys below `path`, whose own keys are `group` where it is no class."""
    if isinstance(value, list):
        for item in value:
            yield from _unknown_in(item, path)
        return
    if not isinstance(value, dict):
        return
    if "class_path" in value:
        yield from _unknown_in_class(value, path)
    elif group:
        for key, inner in value.items():
            if key not in group:
                yield Mistake((*path, key), group)
            yield from _unknown_in(inner, (*path, key))


def _unknown_in_class(value: dict[str, Any], path: Path_) -> Iterator[Mistake]:
    parameters = _parameters(_find_class(str(value["class_path"])))
    if parameters is None:
        return
    for key in value:
        if key not in CLASS_KEYS and key not in parameters:
            yield Mistake((*path, key), (*CLASS_KEYS, *parameters))
    short = {key: inner for key, inner in value.items() if key in parameters}  # --model.width 8
    yield from _unknown_in_parameters(short, path, parameters)
    inner = value.get("init_args")
    if isinstance(inner, dict):
        yield from _unknown_in_parameters(inner, (*path, "init_args"), parameters)


def _unknown_in_parameters(
    values: dict[str, Any], path: Path_, parameters: dict[str, Any]
) -> Iterator[Mistake]:
    for key, value in values.items():
        if key not in parameters:
            yield Mistake((*path, key), tuple(parameters))
            continue
        fields = _dataclass_of(parameters[key])
        if fields is not None and isinstance(value, dict) and "class_path" not in value:
            yield from _unknown_in_parameters(value, (*path, key), _parameters(fields) or {})
        else:
            yield from _unknown_in(value, (*path, key))


def _parameters(kind: type | None) -> dict[str, Any] | None:
    """Names and types of what a class takes, or None where it is not found or takes anything."""
    if kind is None:
        return None
    parameters = dict(inspect.signature(kind).parameters)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    try:
        hints = typing.get_type_hints(kind if dataclasses.is_dataclass(kind) else kind.__init__)
    except (NameError, TypeError):  # a shape in a string annotation is no type
        hints = {}
    return {name: hints.get(name) for name in parameters}


def _dataclass_of(hint: Any) -> type | None:
    candidates = [hint, *typing.get_args(hint)]
    return next(
        (kind for kind in candidates if isinstance(kind, type) and dataclasses.is_dataclass(kind)), None
    )


def _find_class(name: str) -> type | None:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (ImportError, ValueError):
        return None
    return found if isinstance(found, type) else None


def _near_class(name: str) -> str:
    """The classes of a module that does exist, nearest first."""
    module, _, attribute = name.rpartition(".")
    try:
        members = vars(importlib.import_module(module))
    except (ImportError, ValueError):
        return " Is the module spelt right, and do you stand in the project's folder?"
    own = [
        key for key, kind in members.items() if isinstance(kind, type) and kind.__module__.startswith(module)
    ]
    near = difflib.get_close_matches(attribute, own, n=1)
    return f" Did you mean '{module}.{near[0]}'?" if near else f" It has: {', '.join(own)}." if own else ""


def _no_file(path: Path) -> str:
    folder = path.parent
    others = [str(other) for other in sorted(folder.glob("*.yaml"))] if folder.is_dir() else []
    near = difflib.get_close_matches(str(path), others, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else f" There are: {', '.join(others)}." if others else ""
    return f"There is no file '{path}'.{hint}"


def _plain_type(text: str) -> str:
    """`<class 'int'>` as `int`."""
    return re.sub(r"(typing\.)?<class '([^']+)'>|typing\.", lambda found: found[2] or "", text)


def _config_files(args: list[str]) -> Iterator[str]:
    for index, arg in enumerate(args):
        if arg in ("-c", "--config") and index + 1 < len(args):
            yield args[index + 1]
        elif arg.startswith("--config="):
            yield arg.removeprefix("--config=")


def _options(args: list[str]) -> Iterator[tuple[str, Any]]:
    for index, arg in enumerate(args):
        if not arg.startswith("--") or arg.split("=")[0] == "--config":
            continue
        name, equals, value = arg.removeprefix("--").partition("=")
        if not equals and index + 1 < len(args):
            value = args[index + 1]
        if name.endswith(".help") or name in ("print_config", "help"):
            continue
        yield name.removesuffix("+"), value


def _read(file: str | Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(_no_file(Path(file))) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(tree, dict):
        raise UserError(f"{file} must hold keys and values at its top level; it holds {type(tree).__name__}.")
    return {key: _follow(value, Path(file).parent) for key, value in tree.items()}


def _follow(value: Any, folder: Path) -> Any:
    """The tree of a sub-config that is named by its path."""
    named = isinstance(value, str) and value.endswith((".yaml", ".yml")) and (folder / value).is_file()
    return _read(folder / value) if named else value


def _merge(
    tree: dict[str, Any], new: dict[str, Any], source: str, sources: dict[Path_, str], at: Path_ = ()
) -> None:
    for key, value in new.items():
        path = (*at, str(key))
        sources[path] = source
        if isinstance(value, dict):
            if not isinstance(tree.get(key), dict):
                tree[key] = {}
            _merge(tree[key], value, source, sources, path)
        else:
            tree[key] = value
