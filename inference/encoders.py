"""The frozen models that encode clips and captions, and what names their results (Sec. 3.1.4, 3.2)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from console import UserError
from inference.picked import Picked
from inference.pipeline import open_encoder, pick_device
from inference.shards import embedding_name
from inference.statistics import statistics_of
from inference.t2v import to_values
from inference.tiles import tiled
from inference.weights import LoadedModel, load_model
from models.tae import TAE
from models.tae.moments import LatentStatistics
from models.tae.tiling import TiledTAE
from models.text import TextEncoder, TextEnsemble, TextSequence
from models.text.prefix import worded


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How to encode."""

    text: str = "minilm"
    """Packaged name, folder or hub name of the text encoder; several joined by + (`parse_sources`)."""
    max_tokens: int = 64
    """Tokens kept of a caption by encoders that name no limit of their own."""
    prefix: tuple[str, ...] = ()
    """What stands before captions: fps, camera (Sec. 3.1.4)."""
    batch: int = 16
    """Clips at once."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    tile: str | None = None
    """Sizes of tiles, as inference.tiles reads them; None encodes each clip as a whole."""
    first_frame: bool = False
    """Also the latent of each clip's first frame alone, which image-to-video trains on."""
    sure: float = 0.8  # not disclosed
    """Confidence of a measured camera motion from which it stands before the caption."""
    picked: Picked = field(default_factory=Picked)
    """What of the clips is encoded."""

    def __post_init__(self) -> None:
        if self.picked.images and self.prefix:
            raise UserError(
                f"--images have no --prefix {' '.join(self.prefix)}: a single frame has no rate and no "
                "motion. Leave --prefix out; videos that are trained on with them may have one."
            )


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """The frozen models, and what names their results."""

    tae: LoadedModel[TAE]
    tae_path: str
    halves: TAE | TiledTAE
    """What encodes: the TAE, as a whole or in tiles."""
    statistics: LatentStatistics
    text: TextEncoder | TextEnsemble
    prefix: tuple[str, ...]
    batch: int
    first_frame: bool = False
    sure: float = EncodeOptions.sure
    picked: Picked = field(default_factory=Picked)

    @property
    def channels(self) -> int:
        """Channels of the latent."""
        return self.tae.model.config.latent_channels

    @torch.no_grad()
    def latents(self, frames: list[np.ndarray]) -> np.ndarray:
        """Posterior means float32 "b t c h w", not normalised, of uint8 clips of one shape."""
        device = next(self.tae.model.parameters()).device
        video = to_values(np.stack(frames)).to(device)
        return self.halves.encode(video).mean.float().cpu().numpy()

    def embeddings(self, captions: list[str]) -> list[dict[str, np.ndarray]]:
        """For each caption, each encoder's text embedding float32 "l d", its valid tokens alone."""
        text = TextSequence.of(self.text.encode(captions))
        rows: list[dict[str, np.ndarray]] = [{} for _ in captions]
        for place, tokens in enumerate(text):
            for row, embedding, mask in zip(rows, *tokens, strict=True):
                row[embedding_name(place)] = embedding[mask].float().cpu().numpy()
        return rows

    def worded(self, facts: dict[str, Any], frames: int) -> str:
        """What the model reads for `frames` frames of a clip (`models.text.prefix.worded`)."""
        camera, caption = self.camera(facts), facts["caption"] or ""
        there = f"{facts.get('camera_motion')}, "
        if caption.startswith(there):  # curation has put it there
            camera, caption = None, caption.removeprefix(there) if frames == 1 else caption
        return worded(caption, frames, self.prefix, float(facts["fps"]), camera)

    def camera(self, facts: dict[str, Any]) -> str | None:
        """The camera's motion that is to stand before a clip's caption: measured surely, or by people."""
        confidence = facts.get("camera_confidence")
        if "camera" not in self.prefix or (confidence is not None and confidence < self.sure):
            return None
        return facts.get("camera_motion")

    def facts(self) -> dict[str, Any]:
        """What the index says of the encoders, for the model that trains on their latents."""
        config = self.tae.model.config
        return {
            "tae": self.tae.hash,
            "tae_path": self.tae_path,
            "compression": [config.time_factor, config.space_factor, config.space_factor],
            "latent_mean": self.statistics.mean.tolist(),
            "latent_std": self.statistics.std.tolist(),
            "text": self.text.fingerprint,
            "text_encoder": {
                "encoder": self.text.name,
                "fingerprint": self.text.fingerprint,
                "max_tokens": self.text.max_tokens,
                **({"prefix": list(self.prefix)} if self.prefix else {}),
            },
        }


def open_encoders(tae: Path, options: EncodeOptions) -> Encoders:
    """The models that `options` name, on their device; a TAE without statistics is a UserError."""
    if options.batch < 1:
        raise UserError(f"--batch must be at least 1; {options.batch} came.")
    device = pick_device(options.device)
    loaded = load_model(tae, expect=TAE)
    model = loaded.model.to(device)
    return Encoders(
        tae=loaded,
        tae_path=str(tae),
        halves=model if options.tile is None else tiled(model, options.tile),
        statistics=statistics_of(loaded, tae),
        text=open_encoder(options.text, options.max_tokens, device),
        prefix=options.prefix,
        batch=options.batch,
        first_frame=options.first_frame,
        sure=options.sure,
        picked=options.picked,
    )
