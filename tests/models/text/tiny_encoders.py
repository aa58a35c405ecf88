"""Tiny encoders of the paper's architectures with random weights, in folders as the real ones lie."""

import json
from pathlib import Path

import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

PROMPTS = ["a red ball moves left", "a sign reads stop", "two small blue stars drift"]


def ul2_folder(folder: Path) -> Path:
    """A T5 encoder with a word-piece model of its own, trained on PROMPTS."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    torch.manual_seed(0)
    config = T5Config(vocab_size=200, d_model=16, d_ff=32, d_kv=8, num_layers=2, num_heads=2,
                      feed_forward_proj="gated-gelu")  # fmt: skip
    T5EncoderModel(config).save_pretrained(folder)
    words = Tokenizer(models.Unigram())
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    words.train_from_iterator(
        PROMPTS, trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>")
    )
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def byt5_folder(folder: Path) -> Path:
    """A ByT5 encoder; its tokenizer is the bytes themselves."""
    from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

    torch.manual_seed(1)
    config = T5Config(vocab_size=384, d_model=12, d_ff=24, d_kv=6, num_layers=1, num_heads=2,
                      feed_forward_proj="gated-gelu")  # fmt: skip
    T5EncoderModel(config).save_pretrained(folder)
    ByT5Tokenizer().save_pretrained(folder)
    return folder


def clip_config(tokens: int = 77) -> dict:
    """A CLIP of MetaCLIP's form."""
    return {
        "embed_dim": 8,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {"context_length": tokens, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 2},
    }


def metaclip_folder(folder: Path) -> Path:
    """A CLIP with BPE tokens, as open_clip's releases on the hub lie."""
    torch.manual_seed(2)
    folder.mkdir(parents=True, exist_ok=True)
    model = CLIP(**clip_config())
    with torch.no_grad():
        model.positional_embedding.normal_()
        model.token_embedding.weight.normal_()
    save_file({key: value.contiguous() for key, value in model.state_dict().items()},
              folder / "open_clip_model.safetensors")  # fmt: skip
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": clip_config()}))
    return folder
