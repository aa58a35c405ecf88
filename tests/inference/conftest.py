"""A tiny cast with random weights: enough for every law that does not need training."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.pipeline import Pipeline
from inference.shards import INDEX, Sample, write_samples
from inference.video import write_video
from inference.weights import save_model
from models.tae import TAE, TAEConfig
from models.text import TextTokens, open_text_encoder
from models.transformer import Transformer, TransformerConfig
from storage import hash_file, write_json

TAE_CONFIG = TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1, latent_channels=4)
SIZE, FRAMES, FPS = 32, 8, 8.0
STATISTICS = {"latent_mean": [0.1, -0.2, 0.0, 0.3], "latent_std": [1.0, 0.5, 2.0, 1.5]}


def scatter(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Random weights everywhere, also where training starts at zero, so that every input has an effect."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return model.eval().requires_grad_(False)


def transformer(text_width: int) -> Transformer:
    """A transformer for latents of TAE_CONFIG."""
    config = TransformerConfig(
        width=32,
        layers=2,
        heads=2,
        feed_forward=64,
        latent_channels=4,
        grid=(2, 4, 4),
        text_widths=(text_width,),
    )
    return scatter(Transformer(config), seed=1)  # pyright: ignore[reportReturnType]


def t2v_facts(tae: str, tae_path: str, text: dict) -> dict:
    """Facts as a fit of the T2V model writes them."""
    return {
        "tae": tae,
        "tae_path": tae_path,
        "text": text,
        "fps": FPS,
        "frames": FRAMES,
        "size": [SIZE, SIZE],
        **STATISTICS,
    }


class Letters:
    """A text encoder whose tokens are the letters of the text between a start and an end."""

    name, width, max_tokens, fingerprint = "letters", 8, 40, "letters-1"

    def encode(self, texts) -> TextTokens:
        table = torch.randn(300, self.width, generator=torch.Generator().manual_seed(0))
        rows = [table[[298, *(ord(letter) % 256 for letter in text[:38]), 299]] for text in texts]
        return TextTokens.stack(rows)

    def count(self, text: str) -> int:
        return len(text) + 2


@pytest.fixture(scope="session")
def tae() -> TAE:
    return scatter(TAE(TAE_CONFIG), seed=0)  # pyright: ignore[reportReturnType]


@pytest.fixture(scope="session")
def pipeline(tae) -> Pipeline:
    """Models in memory, with a text encoder that needs no file."""
    facts = t2v_facts("tae", "nowhere", {})
    return Pipeline(transformer=transformer(Letters.width), tae=tae, text=Letters(), facts=facts, hash="t2v")


@pytest.fixture(scope="session")
def model_folders(tae, tmp_path_factory) -> tuple[Path, Path]:
    """Folders of a TAE and of a T2V model that reads MiniLM, as training leaves them."""
    root = tmp_path_factory.mktemp("runs")
    digest = save_model(root / "tae", tae, {"fps": FPS, **STATISTICS})
    text = open_text_encoder("minilm", 64)
    about = {"encoder": "minilm", "fingerprint": text.fingerprint, "max_tokens": 64}
    save_model(root / "t2v", transformer(text.width), t2v_facts(digest, str(root / "tae"), about))
    return root / "tae", root / "t2v"


def clip_bytes(seed: int, folder: Path, frames: int = FRAMES, size: int = SIZE) -> bytes:
    """An mp4 of soft noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, 4, 4, 3), dtype=np.uint8)
    pixels = coarse.repeat(size // 4, axis=1).repeat(size // 4, axis=2)
    write_video(folder / "clip.mp4", pixels, FPS)
    return (folder / "clip.mp4").read_bytes()


def make_shard(folder: Path, name: str, clips: list[tuple[str, bytes]]) -> dict:
    """Write a curated shard; returns its row of the index."""
    samples = []
    for key, content in clips:
        about = {"clip_id": key, "caption": f"clip {key}", "fps": FPS, "bucket": f"{SIZE}x{SIZE}x{FRAMES}"}
        samples.append(Sample(key, {"mp4": content, "json": json.dumps(about).encode()}))
    write_samples(folder / name, samples)
    path = folder / name
    size = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    return {"file": name, "samples": len(clips), **size, "bucket": f"{SIZE}x{SIZE}x{FRAMES}"}


def make_index(folder: Path, rows: list[dict]) -> None:
    """Write the index of a folder of shards."""
    samples = sum(row["samples"] for row in rows)
    buckets = {f"{SIZE}x{SIZE}x{FRAMES}": samples}
    write_json(
        folder / INDEX,
        {"format": 1, "fingerprint": "f", "shards": rows, "samples": samples, "buckets": buckets},
    )


@pytest.fixture
def shards(tmp_path) -> Path:
    """Two shards of three training clips and one of two held-out clips."""
    root = tmp_path / "shards"
    numbers = iter(range(100))
    for split, sizes in (("train", (3, 3)), ("val", (2,))):
        rows = []
        for place, size in enumerate(sizes):
            clips = [
                (f"{split}{number}", clip_bytes(number, tmp_path))
                for number in [next(numbers) for _ in range(size)]
            ]
            rows.append(make_shard(root / split, f"shard-{place:06d}.tar", clips))
        make_index(root / split, rows)
    return root


def load_npz(content: bytes) -> np.ndarray:
    """The embedding of a .npz file."""
    return np.load(io.BytesIO(content))["embedding"]
