"""Rewriting is checked, cached, and never silent."""

import json

import pytest

from inference.rewriting import RewriterError, Rewrites, Rewritten

GOOD = {
    "a red ball": "A red ball with a smooth skin. The ball rests. A green lawn.",
    "two cats": "Two small cats with soft fur. The cats sit still. A warm room.",
}


class Answers:
    """A language model that knows a few answers and counts who asked."""

    name, identity = "answers", "answers-1"

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def ask(self, prompt, words):
        self.asked.append(prompt)
        answer = self.answers.get(prompt, "lorem ipsum")
        if isinstance(answer, RewriterError):
            raise answer
        return answer


def test_a_good_answer_takes_the_place_of_the_prompt_and_both_are_shown(tmp_path, capsys):
    found = Rewrites(Answers(GOOD), tmp_path, 40).rewrite(["a red ball"])
    assert found == [Rewritten("a red ball", GOOD["a red ball"], "answers")]
    out = capsys.readouterr().out
    assert "your prompt: a red ball" in out
    assert GOOD["a red ball"] in out
    assert found[0].facts() == {"user_prompt": "a red ball", "rewritten_by": "answers"}


def test_a_bad_answer_leaves_the_users_prompt_with_a_warning_that_says_why(tmp_path, capsys):
    found = Rewrites(Answers({}), tmp_path, 40).rewrite(["a red ball"])
    assert found == [Rewritten("a red ball", "a red ball", None)]
    assert "lost 'red'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_is_asked_for_once_and_then_read_from_disk(tmp_path, capsys):
    rewriter = Answers(GOOD)
    first = Rewrites(rewriter, tmp_path, 40).rewrite(["a red ball", "two cats", "a red ball"])
    again = Rewrites(rewriter, tmp_path, 40).rewrite(["a red ball", "two cats", "a red ball"])
    assert rewriter.asked == ["a red ball", "two cats"]
    assert first == again
    assert capsys.readouterr().out.count("rewritten:") == 4  # stored answers are shown too


def test_another_rewriter_or_length_is_asked_anew(tmp_path):
    rewriter = Answers(GOOD)
    Rewrites(rewriter, tmp_path, 40).rewrite(["two cats"])
    Rewrites(rewriter, tmp_path, 41).rewrite(["two cats"])
    other = Answers(GOOD)
    other.identity = "answers-2"
    Rewrites(other, tmp_path, 40).rewrite(["two cats"])
    assert (rewriter.asked, other.asked) == (["two cats"] * 2, ["two cats"])


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"user": "two cats"}', '{"user": "two cats", "prompt": "lorem", "by": "x"}', "\x00\xff"],
)
def test_a_damaged_or_forged_entry_is_asked_for_again(tmp_path, content):
    rewriter = Answers(GOOD)
    Rewrites(rewriter, tmp_path, 40).rewrite(["two cats"])
    (entry,) = tmp_path.iterdir()
    entry.write_text(content)
    assert Rewrites(rewriter, tmp_path, 40).rewrite(["two cats"])[0].prompt == GOOD["two cats"]
    assert rewriter.asked == ["two cats"] * 2
    assert json.loads(entry.read_text())["prompt"] == GOOD["two cats"]


def test_after_a_lasting_fault_nobody_is_asked_and_stored_answers_still_serve(tmp_path, capsys):
    Rewrites(Answers(GOOD), tmp_path, 40).rewrite(["two cats"])
    down = Answers({"a dog": RewriterError("the service is down", lasting=True)})
    found = Rewrites(down, tmp_path, 40).rewrite(["a dog", "a red ball", "two cats"])
    assert [each.prompt for each in found] == ["a dog", "a red ball", GOOD["two cats"]]
    assert down.asked == ["a dog"]
    assert capsys.readouterr().err.count("the service is down") == 2


def test_after_a_passing_fault_the_next_prompt_is_asked_for(tmp_path):
    odd = Answers({**GOOD, "a dog": RewriterError("refused", lasting=False)})
    assert Rewrites(odd, tmp_path, 40).rewrite(["a dog", "two cats"])[1].by == "answers"
