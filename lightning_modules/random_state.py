"""The generators of python, numpy and torch of one process, as types that load with weights_only=True."""

import random
from typing import Any

import numpy as np
import torch

from storage import fingerprint


def random_state() -> dict[str, Any]:
    """Where all generators are."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    state = {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Go on with the numbers that would have come."""
    random.setstate(state["python"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def branch_off(state: dict[str, Any], rank: int) -> None:
    """Numbers of its own for a process that the saved run did not have: they depend on `state` and `rank`."""
    seed = int(fingerprint([state["torch"].tolist(), rank]), 16) % 2**32
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
