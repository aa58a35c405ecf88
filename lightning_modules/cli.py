"""`lightning fit|validate|test|predict -c configs/<stage>.yaml`: one command trains and checks all stages.

This file answers what needs no torch, so that help comes at once; stage_cli.py does the rest.
"""

import difflib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from console import UserError, command

SUBCOMMANDS = {
    "fit": "train a stage; the same command again goes on where the last one stopped",
    "validate": "run the validation set through the newest checkpoint of a run",
    "test": "run the test set through the newest checkpoint of a run",
    "predict": "collect a stage's predictions from the newest checkpoint of a run",
}

OVERVIEW = """\
usage: lightning SUBCOMMAND -c CONFIG [-c MORE] [--key.of.config VALUE ...]

Train and check the stages of Movie Gen. A stage is a YAML file.

subcommands:
{subcommands}

examples:
  lightning fit -c configs/tae.yaml
  lightning fit -c configs/tae.yaml -c mine.yaml --trainer.max_steps 2000
  lightning fit -c configs/t2v.yaml --print_config
  lightning validate -c configs/tae.yaml

configs here:
{configs}

  lightning SUBCOMMAND --help       what a config holds and which options matter
  lightning SUBCOMMAND --help-all   every option there is (takes about 10 s: it imports torch)
  lightning --version
"""

HELP = """\
usage: lightning {name} -c CONFIG [-c MORE] [--key.of.config VALUE ...]

{title}

  -c, --config FILE        a stage's YAML; later files and options override earlier ones
  --print_config           print the config that results, and stop
  --run_dir DIR            the run's folder: checkpoints/, config.yaml, metrics.csv, samples/, model/
  --restart true           move an earlier run of this folder aside and begin at step 0
  --seed_everything N      seed of the weights and of the noise (default 0)
  --ckpt_path PATH         a checkpoint other than the newest one in the run's folder; `best` outside of fit
  --requeue true           after SIGTERM or SIGUSR1, ask Slurm to start the job again (scontrol requeue)

what a config holds (each key is also an option, as --trainer.max_steps 100):
  model      class_path and init_args of a stage, such as lightning_modules.tae.TAEModule
  data       class_path and init_args: datamodules.clips.ClipData or datamodules.latents.LatentData
  trainer    Lightning's Trainer: max_steps, max_time, val_check_interval (steps), accelerator, ...
  checkpoint every (steps), keep (how many), best (such as val/loss), best_is (lowest or highest), background
  samples    every (validations), count, prompts, seed
  memory     limit (GB of a process; null: what its GPU has free; 0: never refuse a fit that will not fit)
  non_finite in_a_row (steps that may be left out because their loss or gradient is no number)
  rollback   times, spike, window: back to the last checkpoint without the samples of such steps or leaps
  throughput peak (FLOP/s of one device, for MFU; null: of its data sheet, or as a processor is measured)
  watchdog   seconds without a sign of life until the run says who waits for whom, and ends
  mlflow     experiment, tracking_uri, enabled
A value may be a path to another YAML (data: data/clips.yaml), read relative to the file that names it.

  lightning {name} --help-all                                   every option, with types and defaults
  lightning {name} --model.help lightning_modules.tae.TAEModule   the options of one stage

Ctrl-C, SIGTERM and SIGUSR1 finish the step, save a checkpoint and stop; a second Ctrl-C stops at once.
exit codes: 0 done, 2 the input cannot be used, 3 disk full, 75 a process stands still,
130 Ctrl-C, 138 SIGUSR1, 143 SIGTERM
"""


def main() -> None:
    """Console script `lightning`."""
    command(lambda: run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Answer help and version at once, hand everything else to LightningCLI; returns the exit code."""
    if not args or args[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if args[0] in ("-V", "--version"):
        print(versions())
        return 0
    name = args[0]
    if name not in SUBCOMMANDS:
        raise UserError(unknown(name))
    if {"-h", "--help"} & set(args[1:]):
        print(HELP.format(name=name, title=f"{name}: {SUBCOMMANDS[name]}."))
        return 0
    from lightning_modules.stage_cli import run_stage

    run_stage(["--help" if arg == "--help-all" else arg for arg in args])
    return 0


def overview() -> str:
    """The answer to `lightning --help`."""
    rows = "\n".join(f"  {name:<9} {text}" for name, text in SUBCOMMANDS.items())
    found = sorted(Path("configs").glob("*.yaml"))
    configs = "\n".join(f"  {path}  {_title(path)}".rstrip() for path in found) or "  none in ./configs"
    return OVERVIEW.format(subcommands=rows, configs=configs)


def versions() -> str:
    """The answer to `lightning --version`: ours and those of what training stands on."""
    names = ("moviegen-lightning", "lightning", "torch", "python")
    return ", ".join(f"{name} {_version(name)}" for name in names)


def unknown(name: str) -> str:
    """What to say to a subcommand that does not exist."""
    near = difflib.get_close_matches(name, SUBCOMMANDS, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"There is no subcommand '{name}'.{hint} It is one of: {', '.join(SUBCOMMANDS)}."


def _version(name: str) -> str:
    if name == "python":
        return sys.version.split()[0]
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed as a package)"


def _title(path: Path) -> str:
    """The first comment of a config."""
    with open(path, encoding="utf-8") as file:
        first = file.readline()
    return first.lstrip("# ").strip() if first.startswith("#") else ""


if __name__ == "__main__":
    main()
