"""Which answers of a language model may take the place of a prompt."""

import pytest

from inference.rewriting.rules import EXAMPLES, INSTRUCTIONS, conversation, faults, stem, tidy
from models.text.quotes import find_quotes

PROMPT = 'two red cars race left without lights, a sign says "STOP now"'
GOOD = (
    "Two small red cars with shiny doors. The cars race to the left without lights. A road with a sign that "
    'says "STOP now". Dark evening, soft colours. The camera follows from the side.'
)


def test_a_good_answer_has_no_fault():
    assert faults(PROMPT, GOOD, 60) == []


@pytest.mark.parametrize(("asked", "answered"), EXAMPLES)
def test_the_examples_that_the_model_is_shown_keep_the_rules(asked, answered):
    assert faults(asked, answered, 45) == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("", "empty"),
        ("   \n ", "empty"),
        (GOOD + " word" * 60, "60 are allowed"),
        (GOOD.replace("STOP now", "Stop now"), 'lost the text "STOP now"'),
        (GOOD.replace('"', ""), 'lost the text "STOP now"'),
        (GOOD + ' A wall says "HELLO".', 'invents the text "HELLO"'),
        (GOOD + ' "', "not closed"),
        (GOOD.replace("Two", "Three"), "lost '2'"),
        (GOOD.replace("red", "blue"), "lost 'red'"),
        (GOOD.replace("left", "right"), "lost 'left'"),
        (GOOD.replace("without", "with"), "negation"),
        (
            'Two red kittens sit left without a hat. A sign that says "STOP now".',
            "words that carry the request",
        ),
        ("Sure! " + GOOD, "talks to the user"),
        ("Here is the rewritten prompt: " + GOOD, "talks to the user"),
        ("I'm sorry, I cannot help with that.", "talks to the user"),
        ("Prompt: " + GOOD, "talks to the user"),
        ("- " + GOOD, "plain paragraph"),
        ("## Scene\n" + GOOD, "plain paragraph"),
        (GOOD.replace(". ", ".\n\n"), "plain paragraph"),
        ("```\n" + GOOD + "\n```", "plain paragraph"),
        (
            GOOD
            + " Incomprehensible antidisestablishmentarianism, phantasmagorical incandescences everywhere, "
            "characteristically interdisciplinary reverberations.",
            "long words",
        ),
        ("lorem ipsum dolor sit amet", "words that carry the request"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_caught(answer, fault):
    assert any(fault in found for found in faults(PROMPT, answer, 60)), faults(PROMPT, answer, 60)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("2 dogs", "Two dogs play. A park."),
        ("a dog that is not barking", "A dog sits. It does not bark. A quiet yard."),
        ("a gray cat jumping", "A grey cat with long fur. The cat jumps. A room."),
        ("a ball rolls upwards", "A ball on a hill. The ball rolls upward. Green grass."),
        ("a board that says go home", 'A wooden board that says "go home". A dark forest.'),
        ("write \u201cOui\u201d on it", 'The word "Oui" is on a wall. Someone has to write on it.'),
    ],
)
def test_the_same_thing_in_simpler_words_is_no_fault(prompt, answer):
    assert faults(prompt, answer, 60) == []


def test_whoever_repeats_the_prompt_breaks_no_rule_of_content():
    for prompt in ("a red ball moves left", 'two "A" signs', "no cat"):
        assert faults(prompt, prompt, 60) == []


@pytest.mark.parametrize(
    "words", [["move", "moves", "moved", "moving"], ["run", "running", "runs"], ["ball", "balls"]]
)
def test_forms_of_a_word_have_one_stem(words):
    assert len({stem(word) for word in words}) == 1


def test_different_words_have_different_stems():
    words = ["red", "ready", "cat", "car", "star", "sand", "left", "light", "right", "sign", "sing"]
    assert len({stem(word) for word in words}) == len(words)


def test_marks_around_the_whole_answer_go_and_marks_inside_stay():
    assert tidy('"A red\n ball."') == "A red ball."
    assert tidy('"A" and "B"') == '"A" and "B"'
    assert find_quotes(tidy(GOOD)).texts == ("STOP now",)


def test_the_model_is_told_the_length_and_the_prompt_as_it_is():
    messages = conversation('say "hi"', 33)
    assert "33 words at most" in messages[0]["content"]
    assert messages[-1] == {"role": "user", "content": 'say "hi"'}
    assert [message["role"] for message in messages[1:-1]] == ["user", "assistant"] * len(EXAMPLES)
    assert "{words}" in INSTRUCTIONS
