"""The template of Table 26, sentence by sentence."""

import pytest

from curation.captioners.sound import caption_of

LIKELY = {"speech_likelihood": 0.9, "singing_likelihood": 0.1, "music_likelihood": 0.126}


def test_the_whole_is_the_papers_template():
    said = caption_of(LIKELY, ["Dog", "Bark"], ["Piano"], 7.04, 0.4)
    assert said == (
        "This audio has quality: 7.0. This audio contains speech. This audio does not contain vocal singing. "
        'This audio has a description: "dog, bark.". This audio contains music with a 0.13 likelihood. '
        'This audio has a music description (if applicable): "piano.".'
    )


def test_what_was_not_measured_or_heard_is_not_made_up():
    said = caption_of(LIKELY, [], [], None, 0.4)
    assert "quality" not in said
    assert '"no other sound.".' in said
    assert '"no music.".' in said


@pytest.mark.parametrize(("least", "sings"), [(0.1, True), (0.11, False)])
def test_singing_is_said_from_its_threshold_on(least, sings):
    assert ("contains vocal singing" in caption_of(LIKELY, [], [], None, least)) == sings
