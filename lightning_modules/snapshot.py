"""Snapshot: Lightning's checkpoint as tensors, which are sharded, and plain values, which each process has.

Optimizer states are kept by the names of weights, not by their numbers: they find their weight on any mesh.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

MODEL, OPTIMIZER = "model", "optimizer"  # first parts of a tensor's name


class Snapshot(NamedTuple):
    """One moment of a run, as this process has it."""

    tensors: dict[str, Tensor]
    """`model/<weight>` and `optimizer/<number>/<weight>/<moment>`."""
    plain: dict[str, Any]
    """The rest: counters, schedules, callbacks, random states, and tensors without dimensions."""


def take_apart(checkpoint: Mapping[str, Any], names: Iterable[list[str]]) -> Snapshot:
    """`checkpoint` as Lightning makes it; `names` of each optimizer's weights in the order of its numbers."""
    tensors: dict[str, Tensor] = {}
    plain = {key: value for key, value in checkpoint.items() if key not in ("state_dict", "optimizer_states")}
    plain["model_values"] = _sorted_out(tensors, checkpoint["state_dict"], MODEL)
    plain["optimizers"] = []
    pairs = zip(checkpoint.get("optimizer_states", []), names, strict=True)
    for number, (state, weights) in enumerate(pairs):
        groups = [
            {**group, "params": [weights[i] for i in group["params"]]} for group in state["param_groups"]
        ]
        values = {
            weights[i]: _sorted_out(tensors, moments, f"{OPTIMIZER}/{number}/{weights[i]}")
            for i, moments in state["state"].items()
        }
        others = {key: value for key, value in state.items() if key not in ("state", "param_groups")}
        plain["optimizers"].append({"param_groups": groups, "values": values, "others": others})
    return Snapshot(tensors, plain)


def put_together(snapshot: Snapshot) -> dict[str, Any]:
    """The checkpoint as Lightning knows it; numbers of weights follow the order of the saved groups."""
    plain = dict(snapshot.plain)
    optimizers = plain.pop("optimizers")
    state = {**_under(snapshot.tensors, MODEL), **plain.pop("model_values")}
    return {
        **plain,
        "state_dict": state,
        "optimizer_states": [_numbered(snapshot.tensors, i, kept) for i, kept in enumerate(optimizers)],
    }


def weight_names(module: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """The names of an optimizer's weights, in the order in which its state numbers them."""
    names = {id(weight): name for name, weight in module.named_parameters(remove_duplicate=False)}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    missing = sum(id(weight) not in names for weight in weights)
    if missing:
        raise ValueError(f"The optimizer holds {missing} weights that the stage does not have.")
    return [names[id(weight)] for weight in weights]


def _sorted_out(tensors: dict[str, Tensor], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Put the tensors among `values` into `tensors`; give back the rest, and those without dimensions."""
    rest = {}
    for name, value in values.items():
        if isinstance(value, Tensor) and (value.dim() or isinstance(value, DTensor)):
            tensors[f"{where}/{name}"] = value.detach()
        else:
            rest[name] = value.detach().cpu().clone() if isinstance(value, Tensor) else value
    return rest


def _under(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    start = f"{where}/"
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _numbered(tensors: Mapping[str, Tensor], number: int, kept: dict[str, Any]) -> dict[str, Any]:
    order = [name for group in kept["param_groups"] for name in group["params"]]
    numbers = {name: i for i, name in enumerate(order)}
    state: dict[int, dict[str, Any]] = {
        numbers[name]: dict(values) for name, values in kept["values"].items()
    }
    for name, value in _under(tensors, f"{OPTIMIZER}/{number}").items():
        weight, _, moment = name.rpartition("/")
        state.setdefault(numbers[weight], {})[moment] = value
    groups = [{**group, "params": [numbers[n] for n in group["params"]]} for group in kept["param_groups"]]
    return {**kept["others"], "state": dict(sorted(state.items())), "param_groups": groups}
