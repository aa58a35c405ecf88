"""Quotation marks in prompts."""

import pytest

from models.text.quotes import find_quotes


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ('a sign that says "Hello World"', ("Hello World",)),
        (
            "\u201cone\u201d, \u201etwo\u201c, \u201ethree\u201d and \u00abfour\u00bb",
            ("one", "two", "three", "four"),
        ),
        ("\"it's\", not 'that'", ("it's",)),
        ('an empty "" sign', ("",)),
        ("no quotes at all", ()),
        ('\u201ca "b" c\u201d', ('a "b" c',)),
    ],
)
def test_quoted_texts_are_found_letter_by_letter(prompt, texts):
    assert find_quotes(prompt) == (texts, True)


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ('a sign that says "Hello', ()),
        ('"one" and "two', ("one",)),
        ("closed only\u201d", ()),
        ('"', ()),
        ('\u201cmixed"', ()),
    ],
)
def test_a_mark_without_its_partner_is_noticed_and_quotes_nothing(prompt, texts):
    assert find_quotes(prompt) == (texts, False)
