"""A causal language model of transformers in a local folder, trained here to know one answer."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from console import UserError
from inference.rewriting import RewriterError, Rewrites
from inference.rewriting.local import LocalRewriter
from inference.rewriting.rules import conversation

ANSWER = "A red ball with a smooth skin. The ball rests. A green lawn."
TEMPLATE = "{% for m in messages %}{{ m.role[0] + m.content[-12:] }}{% endfor %}|"

NO_SYSTEM = """\
{%- for m in messages %}
{%- if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}
{{- '<' + m.role + '>' + m.content }}
{%- endfor %}<assistant>"""  # in the manner of Gemma's


def tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """Letter by letter, so that it needs no training."""
    alphabet = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", pad_token="<end>")
    made.chat_template = template
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Llama of one layer that answers ANSWER to "a red ball"; the rest of what it says is noise."""
    torch.manual_seed(0)
    target = tmp_path_factory.mktemp("llama")
    words = tokenizer(TEMPLATE)
    config = LlamaConfig(
        vocab_size=257, hidden_size=96, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=2048, eos_token_id=0, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    model, room = LlamaForCausalLM(config), "a red ball|"
    tokens = words([room + ANSWER + "<end>"], return_tensors="pt")["input_ids"]
    labels = tokens.clone()
    labels[:, : len(room)] = -100
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(target)
    words.save_pretrained(target)
    return target


def test_what_the_model_writes_passes_the_checks_and_is_the_same_each_time(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "inference.rewriting.local.conversation", lambda prompt, words: [{"role": "", "content": prompt}]
    )
    rewriter = LocalRewriter(folder, torch.device("cpu"))
    rewriter.tokenizer.chat_template = "{{ messages[0].content }}|"
    assert rewriter.ask("a red ball", 40) == rewriter.ask("a red ball", 40) == ANSWER
    (found,) = Rewrites(rewriter, tmp_path, 40).rewrite(["a red ball"])
    assert (found.prompt, found.by) == (ANSWER, folder.name)


def test_noise_is_refused_by_the_checks(folder, tmp_path, capsys):
    rewriter = LocalRewriter(folder, torch.device("cpu"))
    (found,) = Rewrites(rewriter, tmp_path, 40).rewrite(["seven blue whales swim up"])
    assert found.by is None
    assert "breaks the rules" in capsys.readouterr().err


def test_a_conversation_that_the_model_cannot_hold_is_a_fault_that_says_so(folder):
    rewriter = LocalRewriter(folder, torch.device("cpu"))
    rewriter.tokenizer.chat_template = None
    rewriter.model.config.max_position_embeddings = 256
    with pytest.raises(RewriterError, match="reads 256 tokens"):
        rewriter.ask("a red ball", 40)


def test_without_a_template_the_turns_are_plain_text_and_one_paragraph_is_taken(folder):
    rewriter = LocalRewriter(folder, torch.device("cpu"))
    rewriter.tokenizer.chat_template = None
    asked = rewriter.tokenizer.decode(rewriter._tokens("a red ball", 40)[0])
    assert asked.endswith("Request: a red ball\n\nRewritten:")
    assert "\n\n" not in rewriter.ask("a red ball", 40)


def test_a_template_without_a_system_role_has_the_rules_before_the_first_request(folder):
    rewriter = LocalRewriter(folder, torch.device("cpu"))
    rewriter.tokenizer = tokenizer(NO_SYSTEM)
    asked = rewriter.tokenizer.decode(rewriter._tokens("a red ball", 40)[0])
    rules, first, *_, last = conversation("a red ball", 40)
    assert asked.startswith(f"<user>{rules['content']}\n\n{first['content']}<assistant>")
    assert asked.endswith(f"<user>{last['content']}<assistant>")


@pytest.mark.parametrize(
    "template", ["{{ raise_exception('no turns at all') }}", "{{ messages + 1 }}", "{% for %}"]
)
def test_a_template_that_fails_leaves_the_users_prompts_with_a_warning(folder, tmp_path, capsys, template):
    rewriter = LocalRewriter(folder, torch.device("cpu"))
    rewriter.tokenizer = tokenizer(template)
    prompts = ["a red ball", "a blue star"]
    found = Rewrites(rewriter, tmp_path, 40).rewrite(prompts)
    assert [(each.prompt, each.by) for each in found] == [(prompt, None) for prompt in prompts]
    err = capsys.readouterr().err
    assert f"the chat template of {folder.name} fails" in err
    assert "was not rewritten either" in err


@pytest.mark.parametrize("spoil", ["absent", "no weights", "no tokenizer"])
def test_a_folder_that_is_no_language_model_is_refused(folder, tmp_path, spoil):
    target = tmp_path / "model"
    if spoil != "absent":
        target.mkdir()
        for path in folder.iterdir():
            if not path.name.startswith("model" if spoil == "no weights" else "token"):
                (target / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="--rewrite"):
        LocalRewriter(target, torch.device("cpu"))
