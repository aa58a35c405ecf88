"""What a Frechet distance compares: features of frames or clips, by a network of the user's or a package's.

The published FID and FVD are those of one Inception and one I3D file. With any other extractor, or other
preprocessing, the number is another one, so a column is named rFID-like or rFVD-like and after its extractor.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from console import UserError
from models.efficientnet import CENTRE, SCALE, open_efficientnet

PACKAGED = "efficientnet-lite0"
SIDE = 128  # pixels at which the packaged network sees a frame: a third of the time of its own 224
AT_ONCE = 32  # frames or clips in one call of a network

Pixels = UInt8[Tensor, "b t h w 3"]
Features = Float[Tensor, "n d"]


@dataclass(frozen=True, kw_only=True)
class ExtractorConfig:
    """A network that turns frames or clips into features."""

    path: str | None = None
    """ONNX file: one input of frames (4 axes) or of clips (5), one output "n d". Without it the packaged
    EfficientNet-Lite0."""
    black: float = -1.0
    """What the file takes for black, 0 to 255 or otherwise; without effect on an input of bytes."""
    white: float = 1.0
    """What the file takes for white."""

    def __post_init__(self) -> None:
        if self.black == self.white:
            raise ValueError(f"An extractor needs black and white to differ; both are {self.black}.")


class Extractor(Protocol):
    """Features of a batch of clips: a row a frame, or a row a clip."""

    name: str

    def __call__(self, pixels: Pixels) -> Features:
        """On the device of `pixels`."""
        ...


class FrameFeatures:
    """Pooled features of each frame from the packaged EfficientNet-Lite0, trained on ImageNet."""

    name = PACKAGED

    def __init__(self, device: torch.device) -> None:
        self._network = open_efficientnet().to(device)

    @torch.no_grad()
    def __call__(self, pixels: Pixels) -> Features:
        frames = rearrange(pixels, "b t h w c -> (b t) c h w")
        return torch.cat([self._network(self._sized(part)) for part in frames.split(AT_ONCE)])

    def _sized(self, frames: Tensor) -> Tensor:
        sized = interpolate(frames.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
        return (sized - CENTRE) / SCALE


class ClipFeatures:
    """Features of a clip from those of its frames, for want of a video network: no package ships one."""

    def __init__(self, frames: Extractor) -> None:
        self.name = f"{frames.name} over time"
        self.frames = frames

    def __call__(self, pixels: Pixels) -> Features:
        return over_time(rearrange(self.frames(pixels), "(b t) d -> b t d", b=len(pixels)))


def over_time(features: Float[Tensor, "b t d"]) -> Float[Tensor, "b d2"]:
    """The mean of a clip's two frames or more, and the mean size of the change from each to the next.

    The first half says what is seen, the second how it moves: flicker raises it, frozen motion lowers it.
    """
    still = reduce(features, "b t d -> b d", "mean")
    change = reduce(features.diff(dim=1).abs(), "b t d -> b d", "mean")
    return torch.cat([still, change], dim=1)


class OnnxFeatures:
    """Features from an ONNX file; its declared input says the axes, the size and the number of frames."""

    def __init__(self, config: ExtractorConfig) -> None:
        self._path = Path(str(config.path)).expanduser()
        self.name = self._path.name
        self._session = _open(self._path)
        self._levels = (config.black, config.white)
        (asked,) = self._session.get_inputs()
        self._input, self._bytes = asked.name, asked.type == "tensor(uint8)"
        self._axes = _axes(self._path, asked.shape)
        self._sizes = {
            axis: size for axis, size in zip(self._axes, asked.shape, strict=True) if isinstance(size, int)
        }

    @property
    def of_clips(self) -> bool:
        """Whether it sees time."""
        return "t" in self._axes

    def __call__(self, pixels: Pixels) -> Features:
        frames = self._fitted(rearrange(pixels, "b t h w c -> b t c h w").float())
        items = self._windows(frames) if self.of_clips else rearrange(frames, "b t c h w -> (b t) 1 c h w")
        laid = rearrange(items, f"n t c h w -> {' '.join(self._axes)}" if self.of_clips
                         else f"n 1 c h w -> {' '.join(self._axes)}")  # fmt: skip
        values = [self._run(part) for part in self._valued(laid).split(self._sizes.get("n", AT_ONCE))]
        return torch.cat(values).to(pixels.device)

    def _fitted(self, frames: Tensor) -> Tensor:
        """Frames of the size that the file declares, else as they came."""
        size = tuple(self._sizes.get(axis, frames.shape[place]) for axis, place in (("h", -2), ("w", -1)))
        if size == tuple(frames.shape[-2:]):
            return frames
        flat = rearrange(frames, "b t c h w -> (b t) c h w")
        sized = interpolate(flat, size, mode="bilinear", antialias=True)
        return rearrange(sized, "(b t) c h w -> b t c h w", b=len(frames))

    def _windows(self, frames: Tensor) -> Tensor:
        """Clips as long as the file declares, cut one after another; what is left over is not seen."""
        length = self._sizes.get("t", frames.shape[1])
        whole = frames.shape[1] // length
        if not whole:
            raise UserError(
                f"'{self._path}' takes clips of {length} frames; a clip has {frames.shape[1]}. Take longer "
                "clips, or an export for shorter ones."
            )
        return rearrange(frames[:, : whole * length], "b (k t) c h w -> (b k) t c h w", t=length)

    def _valued(self, laid: Tensor) -> Tensor:
        if self._bytes:
            return laid.round().clamp(0, 255).to(torch.uint8)
        black, white = self._levels
        return black + (white - black) / 255 * laid

    def _run(self, part: Tensor) -> Tensor:
        missing = self._sizes.get("n", 0) - len(part)
        filled = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) if missing > 0 else part
        features = np.asarray(self._session.run(None, {self._input: filled.cpu().numpy()})[0])
        if features.ndim < 2 or features.size != len(filled) * features.shape[1]:
            raise UserError(
                f"'{self._path}' gives {list(features.shape)} for {len(filled)} inputs; a row of features "
                "for each is needed. Export it with its pooling."
            )
        return torch.from_numpy(features.reshape(len(filled), -1)[: len(part)].astype(np.float32))


def open_frame_extractor(config: ExtractorConfig, device: torch.device) -> Extractor:
    """What rFID-like compares: a network of frames."""
    if config.path is None:
        return FrameFeatures(device)
    extractor = OnnxFeatures(config)
    if extractor.of_clips:
        raise UserError(
            f"'{config.path}' takes clips, rFID-like compares frames. Give it as the clip extractor instead."
        )
    return extractor


def open_clip_extractor(config: ExtractorConfig, frames: Extractor) -> Extractor:
    """What rFVD-like compares: a network of clips, or a network of frames over time."""
    if config.path is None:
        return ClipFeatures(frames)
    extractor = OnnxFeatures(config)
    return extractor if extractor.of_clips else ClipFeatures(extractor)


def _open(path: Path) -> Any:
    import onnxruntime

    if not path.is_file():
        raise UserError(f"There is no extractor '{path}'. Give the path of an ONNX file.")
    known = onnxruntime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in known]
    try:
        session = onnxruntime.InferenceSession(path, providers=providers)
    except Exception as error:  # onnxruntime's own kinds have no common base but Exception
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"'{path}' is no ONNX file that can be run: {reason}") from error
    if len(session.get_inputs()) != 1:
        names = ", ".join(value.name for value in session.get_inputs())
        raise UserError(f"'{path}' takes {names}; an extractor takes frames or clips and nothing else.")
    return session


def _axes(path: Path, shape: list[int | str | None]) -> tuple[str, ...]:
    """Names of the axes of an input, found by where its 3 channels are."""
    layouts = {4: ("n c h w", "n h w c"), 5: ("n c t h w", "n t c h w", "n t h w c")}
    for layout in layouts.get(len(shape), ()):
        axes = tuple(layout.split())
        if shape[axes.index("c")] == 3:
            return axes
    raise UserError(
        f"'{path}' takes {list(shape)}; an extractor takes RGB frames (n 3 h w or n h w 3) or clips "
        "(n 3 t h w, n t 3 h w or n t h w 3). Export it with a fixed 3 there."
    )
