"""A causal language model of transformers from a local folder: safetensors alone, and none of its code."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer

from console import UserError
from inference.rewriting.endpoint import TOKENS
from inference.rewriting.rewrite import RewriterError
from inference.rewriting.rules import conversation
from storage import fingerprint

TEMPLATE_FAULTS = (TemplateError, TypeError, ValueError)  # the last two from its own expressions


class LocalRewriter:
    """Asks by the folder's chat template, or in plain text where it has none; greedy, so always the same."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        if not (folder / "config.json").is_file():
            raise UserError(
                f"--rewrite: '{folder}' is no address and no folder of a language model (config.json, "
                "safetensors and a tokenizer)."
            )
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            self.model: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"--rewrite: '{folder}' cannot be opened as a language model: {reason}"
            ) from error
        self.model.eval().requires_grad_(False).to(device)
        self.name = folder.resolve().name
        self.identity = fingerprint(
            [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
        )

    @torch.no_grad()
    def ask(self, prompt: str, words: int) -> str:
        """What it writes, at most TOKENS tokens; without a template for turns, the first paragraph of it."""
        tokens = self._tokens(prompt, words).to(self.model.device)
        room = getattr(self.model.config, "max_position_embeddings", None)
        if room is not None and tokens.shape[1] + 8 > room:
            raise RewriterError(
                f"{self.name} reads {room} tokens, {tokens.shape[1]} are needed", lasting=False
            )
        made = self.model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=False,
            max_new_tokens=min(TOKENS, room - tokens.shape[1]) if room is not None else TOKENS,
            pad_token_id=self.tokenizer.pad_token_id or self.tokenizer.eos_token_id,
        )
        text = self.tokenizer.decode(made[0, tokens.shape[1] :], skip_special_tokens=True)
        return text if self.tokenizer.chat_template else text.strip().split("\n\n")[0]

    def _tokens(self, prompt: str, words: int) -> torch.Tensor:
        messages = conversation(prompt, words)
        if self.tokenizer.chat_template:
            text = self._templated(messages)
            return self.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        names = {"system": "", "user": "Request: ", "assistant": "Rewritten: "}
        lines = [f"{names[message['role']]}{message['content']}" for message in messages]
        return self.tokenizer("\n\n".join([*lines, "Rewritten:"]), return_tensors="pt")["input_ids"]

    def _templated(self, messages: list[dict[str, str]]) -> str:
        """By the folder's template; one that refuses a system role has its text before the first request."""
        render = partial(self.tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=True)
        try:
            return render(messages)
        except TEMPLATE_FAULTS:
            system, first, *others = messages
        try:
            return render([{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others])
        except TEMPLATE_FAULTS as fault:
            reason = " ".join(str(fault).split())
            raise RewriterError(f"the chat template of {self.name} fails: {reason}", lasting=True) from fault
