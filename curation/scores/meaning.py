"""What clips show and what words say, as vectors of one space, by an open_clip model of the user.

Stands in for the video-text embedding of the paper (Sec. 3.2.1, 3.3): the mean over sampled frames of an
image-text model.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from console import UserError
from curation.footage import Observer, Seen

TENSORS = ("open_clip_model.safetensors", "model.safetensors")  # by the order in which open_clip looks
CONFIG = "open_clip_config.json"
TEXTS = 64  # encoded at once


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a model in the form of open_clip's releases; a UserError says what is missing."""
    tensors = [folder / name for name in TENSORS if (folder / name).is_file()]
    if not tensors or not (folder / CONFIG).is_file():
        raise UserError(
            f"embed.clip is {folder}, which lacks {CONFIG} or {TENSORS[0]}. Give the folder of an open_clip "
            "model as its releases on the hub are, with weights as safetensors."
        )
    return {"clip config": folder / CONFIG, "clip": tensors[0]}


class JointSpace:
    """Both towers, loaded once per worker."""

    def __init__(self, folder: Path):
        import open_clip

        files_of(folder)
        torch.set_num_threads(1)  # one worker = one core
        name = f"local-dir:{folder.absolute()}"
        try:
            self.model, _, self.prepare = open_clip.create_model_and_transforms(name)
            self.tokenizer = open_clip.get_tokenizer(name)
        except Exception as error:  # open_clip, safetensors and json have no common class of theirs
            raise UserError(f"open_clip cannot read embed.clip {folder}: {error}") from error
        self.model.eval()

    @torch.inference_mode()
    def pictures(self, pictures: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Float[np.ndarray, "n d"]:
        """One vector of length 1 for each RGB picture."""
        from PIL import Image

        batch = torch.stack([self.prepare(Image.fromarray(picture)) for picture in pictures])  # pyright: ignore
        return _unit(self.model.encode_image(batch))  # pyright: ignore[reportCallIssue]

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """One vector of length 1 for each text."""
        parts = [texts[first : first + TEXTS] for first in range(0, len(texts), TEXTS)]
        return np.concatenate([_unit(self.model.encode_text(self.tokenizer(part))) for part in parts])  # pyright: ignore


class Meaning(Observer):
    """Of the frames numbered in `indices`, one vector for all."""

    def __init__(self, space: JointSpace, indices: Collection[int]):
        self.space, self.indices = space, frozenset(indices)
        self.vectors: list[np.ndarray] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            self.vectors.append(self.space.pictures([seen.rgb])[0])

    def result(self) -> dict[str, list[float]]:
        mean = np.mean(self.vectors, axis=0)
        return {"meaning": (mean / np.linalg.norm(mean)).astype(np.float32).tolist()}


def _unit(features: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(features.float(), dim=-1).numpy()
