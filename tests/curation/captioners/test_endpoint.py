"""Shares of a mix, what an answer depends on, and settings that cannot be meant."""

from dataclasses import replace

import pytest

from console import UserError
from curation.captioners.prompts import check_prompt, read_prompt
from curation.captioners.writer import share
from curation.stages.caption import Caption
from tests.curation.captioners.conftest import endpoint

URL = "http://127.0.0.1:9/v1"
IDS = [f"clip-{k}" for k in range(20_000)]


def mix(small: float, large: float):
    return [endpoint(URL, name="8b", weight=small), endpoint(URL, name="70b", weight=large)]


def test_shares_are_as_the_weights_and_depend_on_the_id_alone():
    whole, parts = mix(70, 30), mix(0.7, 0.3)
    first = {clip: share(clip, whole).name for clip in IDS}
    assert first == {clip: share(clip, parts).name for clip in reversed(IDS)}
    assert list(first.values()).count("8b") / len(IDS) == pytest.approx(0.7, abs=0.015)  # over 4 sigma


def test_other_weights_move_only_the_difference():
    before, after = mix(7, 3), mix(6, 4)
    moved = [share(clip, before).name != share(clip, after).name for clip in IDS]
    assert sum(moved) / len(IDS) == pytest.approx(0.1, abs=0.01)


def test_where_and_how_fast_is_no_part_of_an_answer(tmp_path):
    one = endpoint(URL)
    elsewhere = replace(
        one, url="https://other.host/v1", timeout=1.0, attempts=9, price_in=3.0, key_variable="K"
    )
    assert one.answers_to() == elsewhere.answers_to()
    assert one.identity() == elsewhere.identity()
    assert Caption(mix=(one,)).settings() == Caption(mix=(elsewhere,), answers="there").settings()
    other = tmp_path / "words.txt"
    other.write_text("Say what you see in {seconds} s.")
    for change in ({"model": "b"}, {"prompt": str(other)}, {"frames": 2}, {"temperature": 0.9}, {"seed": 1}):
        assert replace(one, **change).answers_to() != one.answers_to()
    assert replace(one, weight=2.0).answers_to() == one.answers_to()
    assert replace(one, weight=2.0).identity() != one.identity()


def test_a_template_counts_by_its_text_and_not_by_its_name(tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_text(read_prompt("video"))
    assert endpoint(URL, prompt=str(copy)).answers_to() == endpoint(URL).answers_to()


@pytest.mark.parametrize(
    "url",
    ["localhost:8000/v1", "ftp://host/v1", "http://user:pw-secret@host/v1", "http://host/v1?key=secret"],
)
def test_a_url_that_is_none_or_holds_a_secret_is_refused_unseen(url):
    with pytest.raises(UserError, match="key_variable") as caught:
        endpoint(url)
    assert "secret" not in str(caught.value)


def test_settings_that_cannot_be_meant_are_named():
    for key, value in {"weight": 0.0, "attempts": 0, "timeout": -1.0, "backoff": -1.0}.items():
        with pytest.raises(UserError, match=key):
            endpoint(URL, **{key: value})
    with pytest.raises(UserError, match="'tiny' is taken"):
        Caption(mix=(endpoint(URL), endpoint(URL)))
    with pytest.raises(UserError, match="'people' is taken"):
        Caption(mix=(endpoint(URL, name="people"),))
    with pytest.raises(UserError, match=r"no prompt 'vidoe' \(did you mean 'video'"):
        endpoint(URL, prompt="vidoe")


@pytest.mark.parametrize("text", ["", "What is {this}?", "{frames.__class__}", "{seconds[0]}", "a { brace"])
def test_a_template_that_cannot_be_filled_is_refused(text):
    with pytest.raises(UserError, match=r"prompt\.txt"):
        check_prompt(text, "prompt.txt")


def test_the_longest_a_clip_may_take_covers_attempts_waits_and_turns():
    assert endpoint(URL, timeout=10.0, attempts=3).longest(2) == 60
    assert endpoint(URL, timeout=10.0, attempts=3, requests_per_minute=6.0).longest(2) == 120
    assert Caption().longest(4) == 0
