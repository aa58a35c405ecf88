"""Three encoders as one: UL2 and MetaCLIP read the prompt, ByT5 what it quotes; the transformer reads all."""

import pytest
import torch

from models.text import TextEncoder, open_text_encoder
from models.text.ensemble import TextEnsemble, open_text, parse_sources, readers_of
from models.transformer import Transformer, TransformerConfig
from tests.models.text.tiny_encoders import byt5_folder, metaclip_folder, ul2_folder

PLAIN, QUOTING = "a red ball moves left", 'a sign reads "STOP" and "go"'


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory) -> TextEnsemble:
    root = tmp_path_factory.mktemp("encoders")
    folders = [make(root / make.__name__) for make in (ul2_folder, metaclip_folder, byt5_folder)]
    return TextEnsemble(
        [open_text_encoder(str(folder), 30) for folder in folders], ["prompt", "prompt", "quoted"]
    )


def test_the_encoders_have_widths_of_their_own(ensemble):
    assert ensemble.widths == (16, 8, 12)
    assert [tokens.embedding.shape[-1] for tokens in ensemble.encode([PLAIN])] == [16, 8, 12]


def test_quoted_text_alone_goes_to_the_encoder_of_letters(ensemble):
    letters = ensemble.encode([PLAIN, QUOTING])[2]
    assert letters.mask.sum(dim=1).tolist() == [1, len("STOP\ngo") + 1]  # the end mark is a token
    torch.testing.assert_close(
        letters.embedding[1], ensemble.encoders[2].encode(["STOP\ngo"]).embedding[0], atol=1e-5, rtol=1e-4
    )


def test_one_letter_of_the_quotation_changes_the_letters_tokens_and_other_words_do_not(ensemble):
    one, other, elsewhere = (
        ensemble.encode([text])[2].embedding
        for text in ('a sign "stop"', 'a sign "shop"', 'a large board "stop"')
    )
    assert not torch.allclose(one, other)
    torch.testing.assert_close(one, elsewhere)


def test_the_transformer_hears_each_encoder_through_a_layer_and_norm_of_its_own(ensemble):
    config = TransformerConfig(
        width=24, layers=2, heads=2, feed_forward=32, grid=(1, 2, 2), text_widths=ensemble.widths
    )
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    tokens = ensemble.encode([QUOTING, PLAIN])
    embedded, mask = model.text(tokens)
    assert embedded.shape == (2, sum(each.mask.shape[1] for each in tokens), 24)
    assert mask.sum() == sum(int(each.mask.sum()) for each in tokens)
    latent, time = torch.randn(2, 1, 16, 4, 4), torch.rand(2)
    before = model(latent, time, tokens)
    for index in range(3):
        changed = [
            each._replace(embedding=each.embedding + (place == index)) for place, each in enumerate(tokens)
        ]
        assert not torch.allclose(model(latent, time, changed), before, atol=1e-6)


def test_the_null_text_has_tokens_for_every_encoder(ensemble):
    assert [int(tokens.mask.sum()) for tokens in ensemble.encode([""])] == [1, 2, 1]


def test_rows_can_be_taken_and_encoding_depends_on_the_prompt_alone(ensemble):
    both, one = ensemble.encode([QUOTING, PLAIN]).first(1), ensemble.encode([QUOTING])
    for mine, theirs in zip(both, one, strict=True):
        length = theirs.mask.shape[1]
        torch.testing.assert_close(mine.embedding[:, :length], theirs.embedding, atol=1e-5, rtol=1e-4)
        assert mine.mask.sum() == theirs.mask.sum()


def test_the_fingerprint_tells_encoders_order_and_roles_apart(ensemble):
    encoders, reads = list(ensemble.encoders), list(ensemble.reads)
    same = TextEnsemble(encoders, reads).fingerprint
    assert same == ensemble.fingerprint
    others = [
        TextEnsemble(encoders[::-1], reads).fingerprint,
        TextEnsemble(encoders, ["prompt"] * 3).fingerprint,
        TextEnsemble(encoders[:2], reads[:2]).fingerprint,
    ]
    assert len({same, *others}) == 4


def test_parts_that_nothing_can_read_are_refused(ensemble):
    with pytest.raises(ValueError, match=r"cannot read 'verbs'.*prompt, quoted"):
        TextEnsemble(ensemble.encoders[:1], ["verbs"])
    with pytest.raises(ValueError, match="3 text encoders came with 1"):
        TextEnsemble(ensemble.encoders, ["prompt"])


def test_encoders_are_named_in_a_line_with_limits_and_parts():
    written = "google/ul2@300+long-metaclip@256+google/byt5-small@100:quoted+minilm"
    found = parse_sources(written, max_tokens=64)
    assert [(each.source, each.max_tokens, each.reads) for each in found] == [
        ("google/ul2", 300, "prompt"),
        ("long-metaclip", 256, "prompt"),
        ("google/byt5-small", 100, "quoted"),
        ("minilm", 64, "prompt"),
    ]


@pytest.mark.parametrize("written", ["", "minilm+", "@30", "minilm@x", "minilm:verbs", "minilm@0"])
def test_a_line_that_names_no_encoder_is_refused(written):
    with pytest.raises(ValueError, match=r"names no text encoder|cannot read 'verbs'|at least 1 token"):
        parse_sources(written)


def test_a_line_opens_an_encoder_or_an_ensemble(ensemble):
    ul2, _, byt5 = (encoder.name for encoder in ensemble.encoders)
    assert isinstance(open_text(ul2), TextEncoder)
    both = open_text(f"{ul2}@30+{byt5}@30:quoted")
    assert isinstance(both, TextEnsemble)
    assert (both.widths, both.reads, both.max_tokens) == ((16, 12), ("prompt", "quoted"), 30)
    assert readers_of(both) == list(zip(both.encoders, ("prompt", "quoted"), strict=True))
    for mine, theirs in zip(both.encode([QUOTING]), ensemble.encode([QUOTING])[::2], strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_name_of_an_ensemble_opens_the_same_one_whatever_the_common_limit(ensemble):
    ul2, _, byt5 = (encoder.name for encoder in ensemble.encoders)
    first = open_text(f"{ul2}@30+{byt5}:quoted", max_tokens=7)
    assert [encoder.max_tokens for encoder in first.encoders] == [30, 7]
    assert open_text(first.name, first.max_tokens).fingerprint == first.fingerprint
