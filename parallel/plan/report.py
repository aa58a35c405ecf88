"""A plan on the terminal: the table of plans that fit, and memory and time of the best part by part."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from parallel.plan.estimate import Estimate
from parallel.plan.memory import parts
from parallel.plan.stage import Stage

BAR = 40  # characters of the longest bar
NAMED = 4  # buckets that are named each


def show(console: Console, stage: Stage, plans: Sequence[Estimate], rows: int) -> None:
    """What is trained, the best `rows` plans, and the first of them in detail."""
    best = plans[0]
    console.print(_title(stage, best), soft_wrap=True)
    console.print(_plans(plans[:rows]))
    left = len(plans) - rows
    if left > 0:
        console.print(f"{left} more plans fit; --rows shows them.")
    console.print(detail(best, stage.steps), soft_wrap=True)


def detail(plan: Estimate, steps: int | None) -> str:
    """One plan, part by part."""
    memory = [(name, size / 1e9) for name, size in parts(plan.memory)]
    time = [(name, each) for name, each in plan.time._asdict().items() if each]
    lines = [
        "",
        f"{plan.layout.mesh()}, checkpointing {plan.layout.checkpointing}",
        "",
        f"memory of a device: {plan.memory.total / 1e9:.1f} of {plan.device.memory / 1e9:.1f} GB",
        *bars(memory, "GB"),
        "",
        f"time of a step: {plan.time.total:.3g} s, {100 * plan.mfu:.1f} % MFU",
        *bars(time, "s"),
        "",
        "sent by a device in a step:",
        *bars([(each.kind, each.sent / 1e9) for each in plan.sent if each.sent], "GB"),
        "",
        f"{plan.flops:.3g} FLOPs of the model a device and step; {plan.samples:g} samples, "
        f"{plan.tokens:,.0f} tokens a step; {plan.tokens_per_day:.3g} tokens a day",
    ]
    if steps:
        lines.append(
            f"{steps:,} steps: {plan.time.total * steps / 86400:.1f} days, {plan.device_days(steps):,.0f} "
            f"device-days, ${plan.cost(steps):,.0f} at ${plan.device.price} an hour"
        )
    return "\n".join(lines)


def bars(values: Sequence[tuple[str, float]], unit: str) -> list[str]:
    """One line a value: its name, a bar, the number."""
    most = max((value for _, value in values), default=0.0) or 1.0
    width = max((len(name) for name, _ in values), default=0)
    return [
        f"  {name.replace('_', ' '):<{width}} {'█' * round(BAR * value / most):<{BAR}} {value:.3g} {unit}"
        for name, value in values
    ]


def _title(stage: Stage, plan: Estimate) -> str:
    rising = sorted(stage.batches, key=lambda batch: batch.samples * batch.tokens)
    shown = stage.batches if len(rising) <= NAMED else [rising[0], rising[-1]]
    buckets = ", ".join(
        f"{each.samples} x {each.name or 'sample'} ({each.tokens:,} tokens)" for each in shown
    )
    if len(shown) < len(rising):
        buckets = f"one of {len(rising)} buckets, the smallest and the largest of which are {buckets}"
    return (
        f"{stage.model.count / 1e9:.2f}B parameters on {plan.layout.world} x {plan.device.name}; "
        f"a batch of a data rank: {buckets}; {stage.batches[0].text_tokens} text tokens"
    )


def _plans(plans: Sequence[Estimate]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in (
        "replicate",
        "shard",
        "cp",
        "tp",
        "checkpointing",
        "GB",
        "s/step",
        "MFU %",
        "samples",
        "tokens/day",
    ):
        table.add_column(name, justify="right")
    for plan in plans:
        layout = plan.layout
        sizes = (layout.dp_replicate, layout.dp_shard, layout.cp, layout.tp, layout.checkpointing)
        table.add_row(
            *map(str, sizes),
            f"{plan.memory.total / 1e9:.1f}",
            f"{plan.time.total:.3g}",
            f"{100 * plan.mfu:.1f}",
            f"{plan.samples:g}",
            f"{plan.tokens_per_day:.3g}",
        )
    return table
