"""What a stage takes over from the one before: weights, if they mean the same here (Sec. 3.2.2)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from console import UserError
from inference.weights import load_model
from models.transformer import Transformer


def begin_with(folder: str, transformer: Transformer, facts: Mapping[str, Any]) -> None:
    """Copy the weights of the model folder `folder` into `transformer`, which trains under `facts`.

    Another shape, another TAE or another text encoder is a UserError that names both sides. Extra
    channels that only `transformer` has stay as they were built: zero, without effect.
    """
    before = load_model(folder, expect=Transformer)
    here, there = asdict(transformer.config), asdict(before.model.config)
    gains = there["extra_channels"] == 0
    there["extra_channels"] = here["extra_channels"] if gains else there["extra_channels"]
    differ = [f"{name} {there[name]} there, {here[name]} here" for name in here if here[name] != there[name]]
    if differ:
        raise UserError(
            f"'{folder}' has another shape than model.transformer: {'; '.join(differ)}. "
            "A larger grid comes from: python -m inference.run grow. Change the rest in one of the two."
        )
    for key, part in (("tae", "TAE"), ("text", "text encoder")):
        old, new = _identity(before.facts.get(key)), _identity(facts[key])
        if old != new:
            raise UserError(
                f"'{folder}' was trained on the {part} {old}, the latents here are of {new}. "
                f"Encode the clips with the {part} of then, or train without model.start."
            )
    transformer.load_state_dict(before.model.state_dict(), strict=not gains)


def _identity(value: Any) -> str:
    return str(value["fingerprint"] if isinstance(value, Mapping) else value)[:16]
