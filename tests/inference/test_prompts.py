"""Prompts are read, cleaned and counted before any model loads."""

import pytest
import torch

from console import UserError
from inference.prompts import Request, read_prompts, requests, warn_of
from models.text import TextTokens, open_text_encoder
from models.text.ensemble import open_text
from models.text.prefix import prefixed
from tests.models.text.tiny_encoders import byt5_folder, ul2_folder


def test_seeds_count_up_for_each_prompt():
    expected = [Request("a", 5), Request("a", 6), Request("b", 5), Request("b", 6)]
    assert requests(["a", "b"], seed=5, count=2) == expected


def test_what_is_asked_twice_is_made_once():
    assert requests(["a  ball", "a ball "], seed=0, count=1) == [Request("a ball", 0)]


@pytest.mark.parametrize("empty", ["", "   ", "\n\t"])
def test_an_empty_prompt_is_refused(empty):
    with pytest.raises(UserError, match="empty"):
        requests([empty], seed=0, count=1)


def test_less_than_one_result_is_refused():
    with pytest.raises(UserError, match="--count"):
        requests(["a"], seed=0, count=0)


def test_a_plain_file_has_one_prompt_a_line(tmp_path):
    (tmp_path / "p.txt").write_text("# colours\na red ball\n\n  a blue star  \n")
    assert read_prompts(tmp_path / "p.txt") == ["a red ball", "a blue star"]


def test_json_lines_have_one_prompt_each(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"prompt": "a red ball"}\n{"prompt": "# a star", "id": 3}\n')
    assert read_prompts(tmp_path / "p.jsonl") == ["a red ball", "# a star"]


def test_a_mark_of_byte_order_and_windows_line_ends_are_no_part_of_a_prompt(tmp_path):
    (tmp_path / "p.txt").write_bytes(b"\xef\xbb\xbf# colours\r\na red ball\r\na star\r\n")
    assert read_prompts(tmp_path / "p.txt") == ["a red ball", "a star"]
    (tmp_path / "p.jsonl").write_bytes(b'\xef\xbb\xbf{"prompt": "a red ball"}\r\n')
    assert read_prompts(tmp_path / "p.jsonl") == ["a red ball"]


def test_only_the_end_of_a_line_ends_a_prompt(tmp_path):
    line = "a red\u2028ball\x0bmoves"
    (tmp_path / "p.txt").write_text(f"{line}\na star\n")
    assert requests(read_prompts(tmp_path / "p.txt"), 0, 1)[0].prompt == "a red ball moves"
    (tmp_path / "p.jsonl").write_text('{"prompt": "a red\u2028ball"}\n')
    assert read_prompts(tmp_path / "p.jsonl") == ["a red ball"]


@pytest.mark.parametrize(("seed", "count"), [(-1, 1), (2**64, 1), (2**64 - 1, 2)])
def test_seeds_that_no_generator_takes_are_refused(seed, count):
    with pytest.raises(UserError, match="Seeds must lie from 0"):
        requests(["a"], seed, count)
    assert requests(["a"], 2**64 - 1, 1)[0].seed == 2**64 - 1


@pytest.mark.parametrize("line", ['{"text": "a"}', "a red ball", "[1]", '{"prompt": ""}', '{"prompt": 3}'])
def test_a_wrong_json_line_is_named_by_its_number(tmp_path, line):
    (tmp_path / "p.jsonl").write_text('{"prompt": "fine"}\n' + line + "\n")
    with pytest.raises(UserError, match=r"p\.jsonl, line 2"):
        read_prompts(tmp_path / "p.jsonl")


@pytest.mark.parametrize("content", [b"", b"\n\n# only a comment\n", b"\xff\xfe\x00bad"])
def test_a_file_without_prompts_is_refused(tmp_path, content):
    (tmp_path / "p.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"p\.txt"):
        read_prompts(tmp_path / "p.txt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.txt"):
        read_prompts(tmp_path / "absent.txt")


class Words:
    """An encoder whose tokens are words."""

    name, width, max_tokens, fingerprint = "words", 1, 64, ""

    def to(self, device):
        return self

    def count(self, text: str) -> int:
        return len(text.split())

    def encode(self, texts):
        """Known are ASCII and e-acute; every other sign is one and the same."""
        rows = [[ord(c) if c.isascii() or c == "\u00e9" else 999 for c in text] for text in texts]
        return TextTokens.stack([torch.tensor(row, dtype=torch.float32)[:, None] for row in rows])


def test_two_thousand_words_are_cut_with_a_warning(capsys):
    warn_of(["ball " * 2000, "a red ball"], Words())
    err = capsys.readouterr().err
    assert "2,000 tokens" in err
    assert "first 64" in err
    assert err.count("warning") == 1


def test_each_encoder_is_asked_about_the_part_that_it_reads(tmp_path, capsys):
    sources = f"{ul2_folder(tmp_path / 'ul2')}@80+{byt5_folder(tmp_path / 'byt5')}@100:quoted"
    text = open_text(sources)
    warn_of(["a ball", f'a sign reads "{"x" * 99}"'], text)
    assert "warning" not in capsys.readouterr().err
    warn_of([f'a sign reads "{"x" * 378}"'], text)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "quoted" in line)
    assert "has 379 quoted tokens" in line
    assert f"'{tmp_path / 'byt5'}' reads the first 100" in line


def test_the_prefix_counts(capsys):
    warn_of(["ball " * 64], Words())
    assert not capsys.readouterr().err
    warn_of(["ball " * 64], Words(), lambda prompt: prefixed(prompt, 16.0))
    assert "has 65 tokens" in capsys.readouterr().err


def test_signs_that_the_encoder_cannot_tell_apart_are_named(capsys):
    warn_of(["a caf\u00e9", "a ball \U0001f388 and \u732b"], Words())
    err = capsys.readouterr().err
    assert "has \u732b \U0001f388, which the text encoder does not know" in err
    assert err.count("warning") == 1


def test_of_the_packaged_encoder_emoji_are_unknown_and_accents_are_not(capsys):
    text = open_text_encoder("minilm")
    warn_of(["a na\u00efve caf\u00e9", "\U0001f388", "a red ball"], text)
    err = capsys.readouterr().err
    assert err.count("warning") == 1
    assert "\U0001f388" in err


@pytest.mark.parametrize("prompt", ['a sign that says "stop', "a sign that says stop\u201d"])
def test_an_unbalanced_quotation_is_named_and_a_balanced_one_is_not(prompt, capsys):
    warn_of([prompt, 'a sign that says "stop"'], Words())
    err = capsys.readouterr().err
    assert err.count("without its partner") == 1


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UserError, match=r"'a \\udcff ball' is not UTF-8"):
        requests(["a \udcff ball"], seed=0, count=1)
