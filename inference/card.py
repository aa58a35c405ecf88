"""The model card that goes with every export: what the model is, what made it, how to use it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import nn

WHAT = {
    "Transformer": ("text-to-video", "The joint text-to-image and text-to-video transformer (Sec. 3.1)"),
    "TAE": ("feature-extraction", "The temporal autoencoder (Sec. 3.1.1)"),
}


def model_card(model: nn.Module, facts: Mapping[str, Any], digest: str, use: str) -> str:
    """Markdown with the front matter of the Hugging Face hub.

    `use` is the command that opens the export. Facts come as they are: nothing is said that was not recorded.
    """
    task, what = WHAT.get(type(model).__name__, ("other", type(model).__name__))
    count = sum(parameter.numel() for parameter in model.parameters())
    shape = asdict(model.config)  # pyright: ignore[reportArgumentType]
    lines = [
        "---",
        "library_name: moviegen-lightning",
        f"pipeline_tag: {task}",
        "tags: [movie-gen, video-generation]",
        "---",
        "",
        f"# {type(model).__name__}, {_count(count)} parameters",
        "",
        f"{what} of *Movie Gen: A Cast of Media Foundation Models* (arXiv 2410.13720), trained and",
        "exported by moviegen-lightning, an independent implementation. These are not Meta's weights.",
        "",
        "## Use",
        "",
        *(f"    {line}" for line in use.splitlines()),
        "",
        "## Shape",
        "",
        *_table(shape),
        "",
        "## What it was trained under",
        "",
        *(_table(facts) if facts else ["Nothing was recorded."]),
        "",
        "## Limits",
        "",
        "The licence of the training data binds the weights, and is not recorded here. The model knows what",
        "its training clips showed. It was not checked for harmful output.",
        "",
        f"SHA-256 of the tensors: `{digest}`",
        "",
    ]
    return "\n".join(lines)


def _table(facts: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    return ["| | |", "|---|---|", *rows]


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("|", "\\|").replace("\n", " ")


def _count(count: int) -> str:
    for size, unit in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)
