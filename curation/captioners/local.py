"""A video-language model of transformers in the worker itself, from a folder: nothing is fetched, no code of
the folder runs, weights are safetensors. The likeliest word is taken, so that a clip has one caption."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from console import UserError
from curation.captioners.judge import fault_of
from curation.captioners.writer import FAULT, Spent, Voice, Writer
from storage import fingerprint, hash_file


@dataclass(frozen=True, kw_only=True)
class LocalModel(Writer):
    """One captioner; `model` is a folder as `save_pretrained` writes it, with its processor. Each worker
    loads it: on one GPU, `workers: 1`."""

    def __post_init__(self):
        super().__post_init__()
        folder = Path(self.model)
        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            raise UserError(
                f"caption, {self.name}: {self.model} is no folder of a transformers model: it needs "
                "config.json and weights as .safetensors, as save_pretrained writes them."
            )

    def answers_to(self) -> dict[str, Any]:
        """The bytes of the model stand for its path."""
        return {**super().answers_to(), "model": folder_hash(str(Path(self.model).absolute()))}


@cache
def folder_hash(folder: str) -> str:
    """Of all files by name, once for each process."""
    files = sorted(path for path in Path(folder).iterdir() if path.is_file())
    return fingerprint({path.name: hash_file(path) for path in files})


class LocalVoice(Voice):
    """The loaded model, on a GPU where there is one."""

    def __init__(self, settings: LocalModel):
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.settings = settings
        where = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._processor: Any = AutoProcessor.from_pretrained(settings.model, **where)
            self._model: Any = AutoModelForImageTextToText.from_pretrained(
                settings.model, use_safetensors=True, dtype="auto", **where
            )
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"caption, {settings.name}: {settings.model} cannot be opened as a model for pictures "
                f"and text: {error}"
            ) from error
        self._model.eval().to("cuda" if torch.cuda.is_available() else "cpu")

    def write(self, prompt: str, frames: list[UInt8[np.ndarray, "h w 3"]], spent: Spent) -> str:
        import torch

        spent.requests += 1
        inputs = self._inputs(prompt, frames).to(self._model.device)
        given, one = inputs["input_ids"].shape[1], self.settings
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=one.max_tokens, do_sample=False)[0, given:]
        one.pay(spent, given, len(tokens))
        ends = np.atleast_1d(self._model.generation_config.eos_token_id)
        finish = "stop" if tokens[-1].item() in ends else "length"
        text = " ".join(self._processor.decode(tokens, skip_special_tokens=True).split())
        if fault := fault_of(text, finish):
            spent.failed += 1
            raise ValueError(f"{FAULT} {one.name}: {fault}")
        return text

    def _inputs(self, prompt: str, frames: list[UInt8[np.ndarray, "h w 3"]]) -> Any:
        """One video where the model takes videos, else its frames as pictures."""
        from PIL import Image

        more: dict[str, Any] = {}
        if getattr(self._processor, "video_processor", None) is not None:
            shown: list[dict[str, Any]] = [{"type": "video", "video": np.stack(frames)}]
            more = {"processor_kwargs": {"do_sample_frames": False}}
        else:
            shown = [{"type": "image", "image": Image.fromarray(frame)} for frame in frames]
        said = [{"role": "user", "content": [*shown, {"type": "text", "text": prompt}]}]
        return self._processor.apply_chat_template(
            said, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt", **more
        )
