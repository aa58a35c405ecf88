"""PSNRByResolution: the one measure that is cheap enough for every validation of a fit."""

from collections import ChainMap
from collections.abc import Sequence
from statistics import fmean

from jaxtyping import Float
from torch import Tensor

from evaluation.metrics import psnr
from evaluation.pixels import resolution_of, to_pixels
from evaluation.tally import gathered


class PSNRByResolution:
    """Counts each clip once, whichever processes and batches it came in."""

    def __init__(self) -> None:
        self._clips: dict[str, tuple[str, float]] = {}  # resolution and PSNR

    def update(
        self, keys: Sequence[str], video: Float[Tensor, "b t 3 h w"], truth: Float[Tensor, "b t 3 h w"]
    ) -> None:
        """Count the clips `keys`; one that holds what is no number has none for a PSNR."""
        sound = video.isfinite().flatten(1).all(dim=1).tolist()
        pairs = zip(to_pixels(video).cpu().numpy(), to_pixels(truth).cpu().numpy(), strict=True)
        values = [psnr(*pair) if whole else float("nan") for pair, whole in zip(pairs, sound, strict=True)]
        self._clips |= {key: (resolution_of(truth), value) for key, value in zip(keys, values, strict=True)}

    def logged(self, name: str) -> dict[str, float]:
        """The mean over the clips of all processes as NAME, and as NAME/64x64x16 where sizes are mixed."""
        clips = dict(ChainMap(*gathered(self._clips)))
        resolutions = sorted({resolution for resolution, _ in clips.values()})
        means = {name: fmean(value for _, value in clips.values())} if clips else {}
        if len(resolutions) > 1:
            for resolution in resolutions:
                own = [value for where, value in clips.values() if where == resolution]
                means[f"{name}/{resolution}"] = fmean(own)
        return means
