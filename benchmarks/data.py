"""What our loaders cost beside plain webdataset with decord or numpy, and how long training waits for them.

    python -m benchmarks.data                                    shards and latents of `make demo`
    python -m benchmarks.data --shards DIR --latents DIR --rounds 5
    python -m benchmarks.data --train 200                        also fits of 200 steps, with their waiting

Both read the same tars in one process without workers, in turn, and make batches of the same size: frames as
uint8, latents normalised, texts padded. Plain webdataset reads from front to back; ours shuffles over shards,
deals to ranks, counts for a resume and checks each sample. Numbers are ratios of CPU-seconds, which hold on a
loaded machine.
"""

import argparse
import csv
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from console import UserError, command
from datamodules.clips import ClipData
from datamodules.latent_format import pad_text
from datamodules.latents import LatentData
from datamodules.loader import StreamConfig
from datamodules.shards import Bucket

Batches = Callable[[], Iterable[Any]]


class Cost(NamedTuple):
    """One pass over all samples."""

    samples: int
    seconds: float
    """Of the processor, all threads of this process together."""

    @property
    def rate(self) -> float:
        """Samples for each CPU-second."""
        return self.samples / self.seconds


def ours(data: ClipData | LatentData) -> Batches:
    """An epoch of our loader, streamed, as training sees it."""
    data.setup("fit")
    loader = data.train_dataloader()
    return lambda: iter(loader)


def plain(folder: Path, size: int, decode: Callable[[dict[str, Any]], Any]) -> Batches:
    """webdataset's own pipeline over the tars of `folder`/train: group, decode, batch."""
    import webdataset as wds

    urls = [str(path) for path in sorted((folder / "train").glob("*.tar"))]

    def batches() -> Iterator[Any]:
        dataset = wds.WebDataset(urls, shardshuffle=False).map(decode)
        return iter(dataset.batched(size, collation_fn=stacked))

    return batches


def with_decord(sample: dict[str, Any]) -> tuple[Any, ...]:
    """Frames, caption and rate of a clip."""
    import decord

    facts = json.loads(sample["json"])
    reader = decord.VideoReader(io.BytesIO(sample["mp4"]), num_threads=1)
    needed = Bucket.parse(facts["bucket"]).frames
    start = (len(reader) - needed) // 2
    return (
        reader.get_batch(list(range(start, start + needed))).asnumpy(),
        sample["__key__"],
        facts.get("caption") or "",
        facts["fps"],
    )


class WithNumpy:
    """Latent, text, caption and rate of an encoded clip."""

    def __init__(self, index: dict[str, Any]) -> None:
        self.mean, self.std = (
            np.asarray(index[f"latent_{name}"], np.float32)[:, None, None] for name in ("mean", "std")
        )

    def __call__(self, sample: dict[str, Any]) -> tuple[Any, ...]:
        latent = (np.load(io.BytesIO(sample["latent.npy"])) - self.mean) / self.std
        with np.load(io.BytesIO(sample["text.npz"])) as arrays:
            text = arrays["embedding"]
        facts = json.loads(sample["json"])
        return latent, sample["__key__"], facts.get("caption") or "", facts["fps"], text


def stacked(samples: list[tuple[Any, ...]]) -> dict[str, Any]:
    """What our loaders make of as many."""
    first, keys, captions, rates, *texts = zip(*samples, strict=True)
    batch = {"data": torch.from_numpy(np.stack(first)), "fps": torch.tensor(rates)}
    batch |= {"clip_id": list(keys), "caption": list(captions)}
    return {**batch, "text": pad_text(list(texts[0]), None)} if texts else batch


def cost(batches: Batches) -> Cost:
    """One pass."""
    began, samples = time.process_time(), 0
    for batch in batches():
        samples += len(batch["clip_id"])
    return Cost(samples, time.process_time() - began)


def in_turn(ways: dict[str, Batches], rounds: int) -> dict[str, list[Cost]]:
    """Passes of each way, one after the other; the first, which fills caches, is not counted."""
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, batches in ways.items():
            one = cost(batches)
            if number:
                found[name].append(one)
    return found


def waiting(latents: Path, steps: int, options: list[str]) -> float:
    """The median share of step time that a fit of the demo's model spends waiting for its loader."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["fit", "-c", "configs/t2v.yaml", "--run_dir", f"{folder}/run", "--mlflow.enabled", "false"]
        words += ["--data.init_args.latents", str(latents), "--samples.every", "0"]
        words += ["--trainer.max_steps", str(steps), "--trainer.val_check_interval", str(steps), *options]
        run = [sys.executable, "-m", "lightning_modules.cli", *words]
        subprocess.run(run, check=True, capture_output=True)
        with open(f"{folder}/run/metrics.csv", encoding="utf-8", newline="") as file:
            found = [row.get("throughput/data_wait") for row in csv.DictReader(file)]
        return statistics.median(float(value) for value in found[1:] if value)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    size, console = options.batch, Console()
    index = _index(options.latents)
    stream, clips, latents = StreamConfig(), str(options.shards), str(options.latents)
    pairs = {
        "clips": {
            "ours": ours(ClipData(clips, batch_size=size, stream=stream)),
            "webdataset + decord": plain(options.shards, size, with_decord),
        },
        "latents": {
            "ours": ours(LatentData(latents, batch_size=size, stream=stream)),
            "webdataset + numpy": plain(options.latents, size, WithNumpy(index)),
        },
    }
    table = Table("samples", "way", "a pass", "per CPU-second", "ours by it")
    for kind, ways in pairs.items():
        found = in_turn(ways, options.rounds)
        rates = {name: statistics.median(one.rate for one in costs) for name, costs in found.items()}
        for name, costs in found.items():
            row = (
                kind,
                name,
                str(costs[0].samples),
                f"{rates[name]:.0f}",
                f"{rates['ours'] / rates[name]:.2f}",
            )
            table.add_row(*row)
    console.print(table)
    ways = {"in memory": [], "streamed": STREAMED, "streamed by a worker": [*STREAMED, *WORKER]}
    for name, words in ways.items() if options.train else ():
        share = waiting(options.latents, options.train, words)
        console.print(
            f"waiting, {options.train} steps of configs/t2v.yaml, {name}: {100 * share:.2f} % of the time"
        )
    return 0


STREAMED = ["--data.init_args.memory", "false"]
WORKER = ["--data.init_args.stream.num_workers", "1"]


def _index(latents: Path) -> dict[str, Any]:
    try:
        return json.loads((latents / "train/index.json").read_text())
    except FileNotFoundError:
        raise UserError(f"There are no latents in '{latents}'. Make them with: make demo") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--shards", type=Path, default=Path("data/demo/curated/shards"), help="curated clips")
    parser.add_argument("--latents", type=Path, default=Path("data/demo/latents"), help="the same, encoded")
    parser.add_argument("--batch", type=int, default=16, help="samples in a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="counted passes of each (default: %(default)s)")
    parser.add_argument("--train", type=int, default=0, metavar="STEPS", help="also fit for so many steps")
    return parser


if __name__ == "__main__":
    command(main)
