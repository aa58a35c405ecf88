"""The paper's ablations of text-to-video at the size of the toy world (Tables 8 and 9), on several seeds.

    python -m benchmarks.t2v_ablations --latents data/demo/latents --steps 800 --size 1.3 --pace 0.4

Every run is a `lightning fit` of configs/t2v.yaml with the options of its arm, in a folder of its own, and
clips for prompts whose combinations no training clip shows, whose pixels are measured: stop the command
whenever you like, the same one goes on where it was. It prints each arm's mean and standard deviation over
seeds, of scores and of the held-out loss.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml
from rich.console import Console

from benchmarks.over_seeds import over_seeds, run
from console import command, track
from evaluation.report.curves import read_curves
from evaluation.toy_world.settings import add_staging

CONFIG = Path("configs/t2v.yaml")
ARMS = {
    "flow matching, times as the demo's": "",
    "flow matching, times as the paper's": "--model.time_mean=0",
    "diffusion: v-prediction, cosine": "--model.time_mean=0 --model.path=cosine",
    "DiT block": "--model.transformer.block=dit --model.transformer.feed_forward={as_large}",
    "positions before the first layer": "--model.transformer.positions=first",
}
SCORES = ("colour", "direction", "background", "shape")


def main() -> int:
    """Train and sample what is missing, print the tables."""
    options = _parser().parse_args()
    rows: dict[str, list[list[float]]] = {arm: [] for arm in options.arms}
    losses: dict[str, list[list[float]]] = {arm: [] for arm in options.arms}
    runs = [(seed, arm) for seed in range(options.seeds) for arm in options.arms]
    for seed, arm in track(runs, "Runs"):
        folder = options.out / f"{list(ARMS).index(arm)}-seed{seed}"
        fit(folder, arm, options, seed)
        rows[arm].append(score(folder, options))
        losses[arm].append([held_out_loss(folder)])
    title = f"{options.steps} steps, {options.seeds} seeds, {options.prompts} prompts each, right in %"
    console = Console(width=120)
    console.print(over_seeds(rows, SCORES, title, digits=1))
    console.print(over_seeds(losses, ["held-out loss"], "of its own objective", digits=3))
    return 0


def fit(folder: Path, arm: str, options: argparse.Namespace, seed: int) -> None:
    """Train one arm, or what is left of it."""
    steps = options.steps
    settings = [
        "-c", str(CONFIG), *changes(arm),
        f"--run_dir={folder}", f"--seed_everything={seed}", f"--data.latents={options.latents}",
        f"--data.seed={seed}", f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={steps}",
        f"--samples.every={steps}", "--mlflow.enabled=false",
    ]  # fmt: skip
    run("lightning_modules.cli", "fit", *settings)


def changes(arm: str) -> list[str]:
    """The options that an arm adds. DiT's two matrices get 1.5 times the hidden channels of SwiGLU's three,
    which are as many weights: all else is equal in Table 9.
    """
    swiglu = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["model"]["init_args"]["transformer"]
    return ARMS[arm].format(as_large=3 * swiglu["feed_forward"] // 2).split()


def score(folder: Path, options: argparse.Namespace) -> list[float]:
    """How many of a hundred clips show what their prompts name, for each of `SCORES`."""
    out = folder / f"eval{options.prompts}"
    asked = [
        "--model", folder / "model", "--out", out,
        "--prompts", options.prompts, "--size", options.size, "--pace", options.pace,
    ]  # fmt: skip
    run("evaluation.run", "t2v", *map(str, asked))
    found = json.loads((out / "eval.json").read_text(encoding="utf-8"))["accuracy"]
    return [100 * found[name] for name in SCORES]


def held_out_loss(folder: Path) -> float:
    """`val/loss` in the end; diffusion's, whose target is another, does not compare with flow matching's."""
    return read_curves(folder / "metrics.csv")["val/loss"].values[-1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--latents", type=Path, default=Path("data/demo/latents"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--arms",
        nargs="+",
        choices=ARMS,
        default=list(ARMS),
        metavar="ARM",
        help="such as 'DiT block' (default: all)",
    )
    add_staging(parser)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations/t2v"))
    return parser


if __name__ == "__main__":
    sys.exit(command(main))
