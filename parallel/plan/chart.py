"""Memory and time of the best plans as a PNG: one bar a plan, cut into its parts."""

from collections.abc import Sequence
from pathlib import Path

from parallel.plan.estimate import Estimate
from parallel.plan.memory import parts

INCHES = (10.0, 0.55)  # width of the picture, height a plan


def draw(plans: Sequence[Estimate], path: Path) -> None:
    """Write the picture of `plans` to `path`, whose folder is made where it is missing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(INCHES[0], 2.2 + INCHES[1] * len(plans)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    labels = [_label(plan) for plan in plans]
    memory = [{name: size / 1e9 for name, size in parts(plan.memory)} for plan in plans]
    _bars(left, labels, memory, "GB of a device")
    left.axvline(plans[0].device.memory / 1e9, color="black", linestyle="--", linewidth=1)
    _bars(right, labels, [plan.time._asdict() for plan in plans], "seconds of a step")
    left.invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _label(plan: Estimate) -> str:
    layout = plan.layout
    mesh = f"{layout.dp_replicate}x{layout.dp_shard}x{layout.cp}x{layout.tp}"
    return f"{mesh}\n{layout.checkpointing}"


def _bars(axes, labels: list[str], values: list[dict[str, float]], title: str) -> None:
    names = [name for name in values[0] if any(each.get(name) for each in values)]
    start = [0.0] * len(labels)
    for name in names:
        sizes = [each.get(name, 0.0) for each in values]
        axes.barh(labels, sizes, left=start, label=name.replace("_", " "))
        start = [a + b for a, b in zip(start, sizes, strict=True)]
    axes.set_xlabel(title)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)
