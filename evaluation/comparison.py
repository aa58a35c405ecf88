"""Autoencoders on the same clips: what each gives back, per resolution, in one process or in several."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from console import UserError
from evaluation.autoencoders import Autoencoder, TAECoder, open_autoencoder
from evaluation.comparison_table import ALL, Compared, Facts, Row
from evaluation.judges import Judges, JudgesConfig, open_judges
from evaluation.metrics import psnr, ssim
from evaluation.metrics.frechet import Moments, frechet_distance
from evaluation.pixels import resolution_of, to_pixels
from evaluation.tally import Score, Tally, first_here, total
from models.tae import TAE

OURS = "tae"  # the name of the autoencoder that is tested


@dataclass(frozen=True, kw_only=True)
class ComparisonConfig(JudgesConfig):
    """What reconstructions are judged by, and the autoencoders to compare with on the same clips."""

    peers: dict[str, str] = field(default_factory=dict)
    """A name and the folder of each: a VAE of diffusers, or another model folder of ours."""

    def __post_init__(self) -> None:
        for name in self.peers:
            if name in (OURS, ALL) or "/" in name:
                raise ValueError(f"A peer cannot be called '{name}': give it another name.")


class Comparison:
    """Shows each batch to every autoencoder and counts what comes back."""

    def __init__(
        self,
        autoencoders: Mapping[str, Autoencoder],
        judges: Judges,
        device: torch.device = torch.device("cpu"),  # noqa: B008, it is a value
    ) -> None:
        self.autoencoders, self.judges, self.device = dict(autoencoders), judges, device
        self.originals = Tally()
        self.tallies = {name: Tally() for name in self.autoencoders}
        self._calls = 0

    @torch.no_grad()
    def update(self, video: Float[Tensor, "b t 3 h w"], keys: Sequence[str]) -> dict[str, Tensor]:
        """Reconstruct a batch of clips, called `keys`, with pixels in [-1, 1]; gives the reconstructions.

        A clip that several processes hold counts once. All processes must call this equally often.
        """
        own = first_here(keys)
        kept = [keys[place] for place in own]
        pixels = to_pixels(video[own])
        resolution = resolution_of(video)
        if kept:
            self.originals.look(resolution, *self.judges.features(pixels))
        again = {name: self._timed(name, video) for name in self.autoencoders}
        for name, back in again.items():
            if kept:
                self._count(self.tallies[name], resolution, to_pixels(back[own]), pixels, kept)
        self._calls += 1
        return again

    def result(self) -> Compared:
        """The table of what all processes counted, the same in each."""
        originals = self.originals.gathered()
        tallies = {name: tally.gathered() for name, tally in self.tallies.items()}
        resolutions = sorted(originals.frames)
        if len(resolutions) > 1:
            resolutions.append(ALL)
        rows = [
            _row(name, resolution, tally, originals)
            for resolution in resolutions
            for name, tally in tallies.items()
        ]
        facts = [_facts(name, self.autoencoders[name], tally) for name, tally in tallies.items()]
        singular = {
            side: moments.mean.numel()
            for side, kinds in (("rfid_like", originals.frames), ("rfvd_like", originals.clips))
            for moments in kinds.values()
            if not moments.full_rank
        }
        return Compared(names=self.judges.names, rows=rows, autoencoders=facts, singular=singular)

    def _timed(self, name: str, video: Tensor) -> Tensor:
        """The first call, in which libraries warm up, is timed only where it is the only one."""
        start = _now(video.device)
        coded = self.autoencoders[name](video)
        seconds = _now(video.device) - start
        if not coded.video.isfinite().all():
            raise UserError(
                f"The autoencoder '{name}' gives values that are no numbers. Is its folder whole?"
            )
        tally, frames = self.tallies[name], video.shape[0] * video.shape[1]
        tally.elements += coded.elements
        tally.pixels += video.numel() // 3
        again = self._calls > 1
        tally.timed_frames = again * tally.timed_frames + frames
        tally.seconds = again * tally.seconds + seconds
        return coded.video

    def _count(
        self, tally: Tally, resolution: str, back: Tensor, pixels: Tensor, keys: Sequence[str]
    ) -> None:
        tally.look(resolution, *self.judges.features(back))
        distances = self.judges.distances(back, pixels)
        triples = zip(back.cpu().numpy(), pixels.cpu().numpy(), distances, strict=True)
        scores = [Score(resolution, psnr(new, old), ssim(new, old), far) for new, old, far in triples]
        tally.scores |= dict(zip(keys, scores, strict=True))


def open_comparison(config: ComparisonConfig, tae: TAE, device: torch.device) -> Comparison:
    """Open `tae`'s peers and all judges, so that a wrong path is told before anything is measured."""
    peers = {name: open_autoencoder(folder, device) for name, folder in config.peers.items()}
    return Comparison({OURS: TAECoder(tae), **peers}, open_judges(config, device), device)


def _row(name: str, resolution: str, tally: Tally, originals: Tally) -> Row:
    scores = [score for score in tally.scores.values() if resolution in (ALL, score.resolution)]
    return Row(
        autoencoder=name,
        resolution=resolution,
        clips=len(scores),
        psnr=fmean(score.psnr for score in scores),
        ssim=fmean(score.ssim for score in scores),
        perceptual=fmean(score.perceptual for score in scores),
        rfid_like=_distance(total(tally.frames, resolution), total(originals.frames, resolution)),
        rfvd_like=_distance(total(tally.clips, resolution), total(originals.clips, resolution)),
    )


def _distance(first: Moments | None, second: Moments | None) -> float | None:
    if first is None or second is None or min(first.count, second.count) < 2:
        return None
    return frechet_distance(first, second)


def _facts(name: str, autoencoder: Autoencoder, tally: Tally) -> Facts:
    return Facts(
        name=name,
        time_factor=autoencoder.factors.time,
        space_factor=autoencoder.factors.space,
        channels=autoencoder.channels,
        parameters=autoencoder.parameters,
        latent_per_pixel=tally.elements / tally.pixels,
        frames_per_second=tally.timed_frames / tally.seconds,
    )


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
