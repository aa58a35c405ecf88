"""LAION's aesthetic predictor on the middle frame (App. B.1): a head on the image features of CLIP.

No package ships the weights; both files are the user's, by path: a checkpoint that open_clip reads, and the
head, either of the predictor's two published forms: one linear layer, or five of them in a row.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from console import UserError
from curation.footage import Observer, Seen


class Predictor:
    """CLIP and the head, loaded once per worker."""

    def __init__(self, model: str, clip: Path, head: Path):
        import open_clip

        torch.set_num_threads(1)  # one worker = one core
        try:
            self.clip, _, self.prepare = open_clip.create_model_and_transforms(model, pretrained=str(clip))
        except (RuntimeError, FileNotFoundError, KeyError) as error:
            raise UserError(f"open_clip cannot read visual.clip {clip} as {model}: {error}") from error
        self.clip.eval()
        self.head = read_head(head)

    @torch.inference_mode()
    def score(self, picture: UInt8[np.ndarray, "h w 3"]) -> float:
        """Of an RGB picture, about 1 to 10."""
        from PIL import Image

        batch = self.prepare(Image.fromarray(picture))[None]  # pyright: ignore
        features = nn.functional.normalize(self.clip.encode_image(batch), dim=1)  # pyright: ignore[reportCallIssue]
        return float(self.head(features))


class Aesthetics(Observer):
    """Of the frame numbered `index`."""

    def __init__(self, predictor: Predictor, index: int):
        self.predictor, self.index = predictor, index
        self.value: float | None = None

    def see(self, seen: Seen) -> None:
        if seen.index == self.index:
            self.value = self.predictor.score(seen.rgb)

    def result(self) -> dict[str, float | None]:
        return {"aesthetics": self.value}


def read_head(path: Path) -> nn.Sequential:
    """Linear layers with the weights of a file; dropout between them is for training only."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        raise UserError(f"visual.aesthetics {path} is no file of weights: {error}") from error
    matrices = [value for name, value in state.items() if name.endswith("weight")]
    biases = [value for name, value in state.items() if name.endswith("bias")]
    if not matrices or len(matrices) != len(biases) or not _chained(matrices):
        shapes = [tuple(value.shape) for value in state.values()]
        raise UserError(
            f"visual.aesthetics {path} holds tensors of shapes {shapes}; a row of linear layers that ends in "
            "one number is needed, as LAION's predictors are."
        )
    layers = []
    for matrix, bias in zip(matrices, biases, strict=True):
        layer = nn.Linear(matrix.shape[1], matrix.shape[0])
        layer.load_state_dict({"weight": matrix.float(), "bias": bias.float()})
        layers.append(layer)
    return nn.Sequential(*layers).eval()


def _chained(matrices: list[Tensor]) -> bool:
    outs, ins = [m.shape[0] for m in matrices], [m.shape[-1] for m in matrices]
    return all(m.ndim == 2 for m in matrices) and outs[:-1] == ins[1:] and outs[-1] == 1
