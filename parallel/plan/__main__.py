"""`python -m parallel.plan -c CONFIG --gpus N --gpu KIND`: what a run will need, before it starts."""

import argparse
from dataclasses import replace
from pathlib import Path

from console import UserError, command
from parallel.plan.devices import DEVICES, Device

DEFAULT = "(default: %(default)s)"
EXAMPLES = """examples:
  python -m parallel.plan -c configs/paper/t2v_768px.yaml --gpus 6144 --gpu h100
  python -m parallel.plan -c configs/t2v.yaml --gpus 8 --gpu a100 --bucket 64x64x16 --yaml plan.yaml
"""


def main(arguments: list[str] | None = None) -> int:
    """Parse, plan, show; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.gpus < 1:
        raise UserError(f"--gpus must be at least 1; {options.gpus} came.")
    from parallel.plan.run import run

    run(options, device_of(options))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options; answers --help without torch."""
    made = argparse.ArgumentParser(
        prog="python -m parallel.plan",
        description="Memory, time and cost of training a stage on many devices: searches the meshes "
        "(dp_replicate, dp_shard, cp, tp) and the activation checkpointing, and ranks the plans that fit.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("-c", "--config", type=Path, required=True, help="a stage's YAML")
    add("--gpus", type=int, required=True, help="devices of the run")
    kinds = [*sorted(DEVICES), "cpu"]
    add("--gpu", choices=kinds, default="h100", help=f"kind of device; cpu: this machine, measured {DEFAULT}")
    add("--memory", type=float, metavar="GB", help="memory of a device (default: the kind's, less 5 %%)")
    add("--price", type=float, metavar="USD", help="of a device and hour (default: the kind's)")
    add("--bucket", action="append", default=[], metavar="WxHxFRAMES",
        help="clips of this size, as 768x768x256; repeatable (default: of data.batch_size)")  # fmt: skip
    add("--text-tokens", type=int, nargs="+", default=[], metavar="N",
        help="of each text encoder (default: data.max_tokens, or 256)")  # fmt: skip
    add("--precision", choices=["bfloat16", "float32"], help="of matrices (default: the config's strategy's)")
    add("--as-configured", action="store_true", help="judge the config's own mesh instead of searching")
    add("--rows", type=int, default=8, help=f"plans to show {DEFAULT}")
    add("--yaml", type=Path, metavar="FILE", help="write the best plan as a YAML for a second -c")
    add("--png", type=Path, metavar="FILE", help="draw memory and time of the plans shown")
    return made


def device_of(options: argparse.Namespace) -> Device:
    """The kind that was asked for, with the memory and price that were."""
    if options.gpu == "cpu":
        from parallel.plan.calibrate import calibrated

        device = calibrated(options.gpus)
    else:
        device = DEVICES[options.gpu]
    if options.memory is not None:
        device = replace(device, memory=options.memory * 1e9)
    return device if options.price is None else replace(device, price=options.price)


if __name__ == "__main__":
    command(main)
