"""The planner against the truth: fake process groups, published runs, measured steps, the paper's stages.

python -m benchmarks.planner truth       # 30B on 6,144 ranks, to the byte; a few minutes
python -m benchmarks.planner peaks       # activation peaks beside torch's FSDPMemTracker
python -m benchmarks.planner published   # runs that others published
python -m benchmarks.planner table3      # does each row of Table 3 fit 80 GB, and what the recipe costs
python -m benchmarks.planner steps       # measured steps of 1, 2 and 4 processes on this machine
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.planner_published import predicted, rows
from console import command
from parallel.plan.devices import DEVICES
from parallel.plan.estimate import Estimate
from parallel.plan.layout import KINDS, Layout
from parallel.plan.memory import peak
from parallel.plan.parameters import optimizer_bytes, weight_bytes
from parallel.plan.search import search
from parallel.plan.shape import Batch
from parallel.plan.stage import Stage, read_stage, read_yaml

WORLD = 6144
LAYOUTS = (
    Layout(dp_shard=1536, tp=4),
    Layout(dp_shard=768, cp=2, tp=4),
    Layout(dp_replicate=24, dp_shard=64, tp=4),
    Layout(dp_shard=6144),
)
PEAKS = (
    Layout(dp_shard=8), Layout(dp_shard=4, cp=2), Layout(dp_shard=2, tp=4), Layout(cp=2, tp=4),
)  # fmt: skip
ROWS = {  # of Table 3: config, GPUs, its cp and tp
    "t2i_256px": (1536, Layout()),
    "t2v_256px": (3072, Layout(tp=4)),
    "t2v_256px_b": (6144, Layout(tp=4)),
    "t2v_768px": (6144, Layout(tp=4)),
    "t2v_768px_b": (6144, Layout(tp=4)),
    "t2v_768px_c": (6144, Layout(tp=4, cp=2)),
    "t2v_768px_d": (4096, Layout(tp=4, cp=2)),
}
Line = Sequence[object]


def truth() -> tuple[list[str], list[Line]]:
    """The 30B at full shape on 6,144 ranks: bytes of weights and of AdamW's state after a real step."""
    from models.transformer import TransformerConfig
    from tests.parallel.plan.fake_group import local_bytes, optimizer_state_bytes, planned, rank_of, sharded

    config, lines = TransformerConfig(), []
    parameters = planned(config).parameters
    for layout in LAYOUTS:
        with rank_of(layout.world):
            model = sharded(config, layout).to_empty(device="cpu")
            real = local_bytes(model.parameters()), optimizer_state_bytes(model)
        said = weight_bytes(parameters, layout), optimizer_bytes(parameters, layout)
        lines.append((layout.mesh(), *said, *real, "equal" if said == real else "NOT EQUAL"))
    head = ["mesh", "weights", "AdamW", "weights, FSDP2", "AdamW, torch", ""]
    return head, lines


def peaks() -> tuple[list[str], list[Line]]:
    """Peaks of two steps in MB: the planner's and the tracker's."""
    from tests.parallel.plan.fake_group import planned, small
    from tests.parallel.plan.tracker import tracked_peak

    config = small(width=1024, layers=6, feed_forward=2816)
    batch, lines = Batch(samples=2, tokens=1024, text=(64,)), []
    for layout in PEAKS:
        for kind in KINDS:
            tried = layout.with_checkpointing(kind)
            said = peak(planned(config), batch, tried, "cpu").total
            real = tracked_peak(config, batch, tried)["Total"]
            lines.append(
                (tried.mesh(), kind, f"{said / 1e6:.1f}", f"{real / 1e6:.1f}", f"{said / real - 1:+.1%}")
            )
    return ["mesh", "checkpointing", "planned MB", "tracked MB", "error"], lines


def published() -> tuple[list[str], list[Line]]:
    """Runs of others, with the error however it comes out."""
    lines = []
    for row in rows():
        said, plan = predicted(row)
        lines.append((
            row.source, f"{row.layout.world} x {row.gpu}", row.layout.mesh(), f"{row.measured:g} {row.unit}",
            f"{said:.4g}", f"{said / row.measured - 1:+.0%}", f"{plan.memory.total / 1e9:.0f}",
        ))  # fmt: skip
    return ["source", "GPUs", "mesh", "measured", "planned", "error", "GB planned"], lines


def table3() -> tuple[list[str], list[Line]]:
    """Each row of Table 3 with its own tp and cp, whose data ranks are not disclosed, and the best mesh.

    The best mesh's GPU-days are for as many samples as the row has. Ranks have batches of different buckets
    at a step and wait for the largest, which is what is planned for.
    """
    lines: list[Line] = []
    device, own, best = DEVICES["h100"], 0.0, 0.0
    for name, (gpus, mesh) in ROWS.items():
        stage = read_stage(read_yaml(Path(f"configs/paper/{name}.yaml")))
        largest = max(stage.batches, key=lambda batch: batch.samples * batch.tokens)
        found = search(stage.model, [largest], gpus, device).plans
        papers = next(plan for plan in found if (plan.layout.cp, plan.layout.tp) == (mesh.cp, mesh.tp))
        days = papers.device_days(stage.steps or 0), _same_samples(found[0], papers, stage)
        lines.append((name, gpus, *_plan(papers), f"{days[0]:,.0f}", *_plan(found[0]), f"{days[1]:,.0f}"))
        own, best = own + days[0], best + days[1]
    lines.append(("all", "", *[""] * 5, f"{own:,.0f}", *[""] * 5, f"{best:,.0f}"))
    plan = ["mesh", "checkpointing", "GB", "s/step", "MFU %", "GPU-days"]
    return ["row", "GPUs", *plan, *(f"best {name}" for name in plan)], lines


def _plan(plan: Estimate) -> Line:
    layout = plan.layout
    mesh = f"{layout.dp_replicate}x{layout.dp_shard}x{layout.cp}x{layout.tp}"
    memory, time, mfu = plan.memory.total / 1e9, plan.time.total, 100 * plan.mfu
    return mesh, layout.checkpointing, f"{memory:.1f}", f"{time:.2f}", f"{mfu:.0f}"


def _same_samples(plan: Estimate, paper: Estimate, stage: Stage) -> float:
    """GPU-days of `plan` for as many samples as the paper's row sees."""
    return plan.device_days(stage.steps or 0) * paper.samples / plan.samples


def steps() -> tuple[list[str], list[Line]]:
    """Steps of this machine."""
    from benchmarks.planner_steps import lines

    return ["processes", "mesh", "model", "tokens", "measured ms", "planned ms", "error"], [*lines()]


PARTS: dict[str, Callable[[], tuple[list[str], list[Line]]]] = {
    "truth": truth, "peaks": peaks, "published": published, "table3": table3, "steps": steps,
}  # fmt: skip


def main() -> int:
    """Run one part and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    head, lines = PARTS[parser.parse_args().part]()
    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*map(str, line))
    Console(width=200).print(table)
    return 0


if __name__ == "__main__":
    command(main)
