"""A tiny Qwen2-VL of random weights captions as transformers itself would make it, by its bytes and not by
its path."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from console import UserError
from curation.captioners.asker import Asker
from curation.captioners.local import LocalModel
from curation.captioners.pictures import pictures

MARKS = ["<pad>", "<eos>", "<unk>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
WORDS = ["square", "moves", "left", "right", "wall", "bright", "colourful", "frames", "seconds"]
CHAT = (
    "{% for one in messages %}{% for part in one['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}<|vision_start|><|{{ part['type'] }}_pad|><|vision_end|>{% endif %}{% endfor %}{% endfor %}"
)


def write_model(folder: Path, seed: int) -> Path:
    """A model that ends its answer where the room for it ends."""
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    words = Tokenizer(models.WordLevel({word: k for k, word in enumerate(MARKS + WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, additional_special_tokens=MARKS[3:], **named)
    size = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    seeing = Qwen2VLImageProcessor(size=size), Qwen2VLVideoProcessor(size=size, cap_pixels_per_frame=True)
    Qwen2VLProcessor(seeing[0], tokenizer, seeing[1], chat_template=CHAT).save_pretrained(folder)
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    marks = {"vocab_size": len(MARKS + WORDS), "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    text = {**shape, **marks, "num_key_value_heads": 2, "rope_parameters": rope}
    vision = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 1}
    places: dict[str, Any] = {
        "vision_start_token_id": 3,
        "vision_end_token_id": 4,
        "image_token_id": 5,
        "video_token_id": 6,
    }
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **places))
    model.generation_config.forced_eos_token_id = 1
    model.generation_config.suppress_tokens = [0, *range(2, 7)]
    model.generation_config.min_new_tokens = 7
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"), 0)


def local(folder: Path, **changes) -> LocalModel:
    return LocalModel(**{"name": "here", "model": str(folder), "frames": 4, "max_tokens": 8, **changes})


def test_the_caption_is_what_the_model_says_of_the_frames(one_clip, folder, tmp_path):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    root, row = one_clip
    asker = Asker([local(folder, price_out=1e6)], root, tmp_path / "a.sqlite")
    text, name = asker.caption(row)
    assert name == "here"
    processor = AutoProcessor.from_pretrained(folder)
    prompt = asker._prompts["here"].format(frames=4, seconds="2.0")
    inputs = processor(
        text=[f"<|vision_start|><|video_pad|><|vision_end|>{prompt}"],
        videos=[np.stack(pictures(root, row, 4, 512))],
        return_tensors="pt",
    )
    model: Any = AutoModelForImageTextToText.from_pretrained(folder).eval()
    tokens = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert text == processor.decode(tokens, skip_special_tokens=True)
    spent = asker.spent()["here"]
    assert (spent["clips"], spent["requests"], spent["failed"]) == (1, 1, 0)
    assert spent["prompt_tokens"] == inputs["input_ids"].shape[1]
    assert spent["cost"] == spent["completion_tokens"] == len(tokens)


def test_an_answer_that_does_not_end_is_an_error(one_clip, folder, tmp_path):
    from transformers import GenerationConfig

    endless = shutil.copytree(folder, tmp_path / "endless")
    GenerationConfig(eos_token_id=1, pad_token_id=0, suppress_tokens=list(range(7))).save_pretrained(endless)
    root, row = one_clip
    asker = Asker([local(endless)], root, tmp_path / "a.sqlite")
    with pytest.raises(ValueError, match="captioner here: an answer cut off at max_tokens") as caught:
        asker.caption(row)
    assert not isinstance(caught.value, UserError)
    assert asker.spent()["here"]["failed"] == 1


def test_a_model_counts_by_its_bytes_and_not_by_its_path(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert local(copy).answers_to() == local(folder).answers_to()
    other = write_model(tmp_path / "other", 1)
    assert local(other).answers_to() != local(folder).answers_to()


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"here: .* is no folder of a transformers model"):
        local(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="cannot be opened as a model"):
        Asker([local(tmp_path)], tmp_path, tmp_path / "a.sqlite")
