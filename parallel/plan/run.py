"""The planner's command behind its options: read, search, show, write."""

import argparse
import sys
from dataclasses import replace

from rich.console import Console

from console import UserError
from parallel.plan.devices import Device
from parallel.plan.estimate import Estimate, estimate
from parallel.plan.fixes import cheapest_fixes
from parallel.plan.layout import Layout, fault
from parallel.plan.report import detail, show
from parallel.plan.search import search
from parallel.plan.stage import Stage, read_stage, read_yaml
from parallel.plan.trainer_yaml import trainer_yaml
from storage import atomic_path


def run(options: argparse.Namespace, device: Device) -> None:
    """Plan what `options` ask for. Raises UserError where nothing fits, with what would."""
    stage = read_stage(read_yaml(options.config), options.bucket, options.text_tokens)
    if options.precision:
        size = 2 if options.precision == "bfloat16" else 4
        stage = stage._replace(layout=replace(stage.layout, bytes_compute=size))
    plans = (
        [configured(stage, options.gpus, device)]
        if options.as_configured
        else found(stage, options.gpus, device)
    )
    console = Console(width=max(100, Console().width) if not sys.stdout.isatty() else None)
    show(console, stage, plans, options.rows)
    if options.yaml:
        with atomic_path(options.yaml) as temporary:
            temporary.write_text(trainer_yaml(plans[0], str(options.config)), encoding="utf-8")
        console.print(f"\nThis plan, for a second -c: {options.yaml}")
    if options.png:
        from parallel.plan.chart import draw

        draw(plans[: options.rows], options.png)
        console.print(f"The picture: {options.png}")


def found(stage: Stage, gpus: int, device: Device) -> list[Estimate]:
    """The plans that fit, best first."""
    try:
        result = search(stage.model, stage.batches, gpus, device, stage.layout)
    except ValueError as error:
        raise UserError(str(error)) from error
    if not result.plans:
        assert result.nearest is not None
        raise UserError(refusal(stage, result.nearest))
    return result.plans


def configured(stage: Stage, gpus: int, device: Device) -> Estimate:
    """The plan of the config's own mesh, where it fits."""
    layout = over(stage.layout, gpus)
    wrong = next(filter(None, (fault(layout, stage.model.shape, batch) for batch in stage.batches)), None)
    if wrong:
        raise UserError(f"The config's mesh ({layout.mesh()}) does not divide the model: {wrong}.")
    plan = estimate(stage.model, stage.batches, layout, device)
    if not plan.fits:
        raise UserError(refusal(stage, plan))
    return plan


def over(layout: Layout, world: int) -> Layout:
    """`layout` on `world` devices, whose data ranks are those that the other axes leave."""
    others = layout.dp_replicate * layout.cp * layout.tp
    if world % others:
        raise UserError(
            f"The config's mesh ({layout.mesh()}) needs a multiple of {others} devices; {world} came."
        )
    return replace(layout, dp_shard=world // others)


def refusal(stage: Stage, plan: Estimate) -> str:
    """Why a plan does not fit, part by part, and the cheapest changes that would make it."""
    fixes = cheapest_fixes(stage.model, stage.batches, plan.layout, plan.device)
    offers = "\n".join(
        f"  {number}. {fix.change}: {fix.plan.memory.total / 1e9:.1f} GB, {fix.plan.time.total:.3g} s a step"
        for number, fix in enumerate(fixes, start=1)
    )
    advice = (
        f"What would, cheapest first:\n{offers}" if fixes else "No single change would: take a smaller model."
    )
    return (
        f"This run needs {plan.memory.total / 1e9:.1f} GB on each of {plan.layout.world} devices; there are "
        f"{plan.device.memory / 1e9:.1f}.\n{detail(plan, None)}\n\n{advice}"
    )
