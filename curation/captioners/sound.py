"""The caption of a clip's sound in the words of Table 26 (Sec. 6.2.4).

The paper's descriptions of sound and music are by a model; here they are the names of the likeliest AudioSet
classes, and `audio_captioner` says so in every row. A sentence whose value was not measured is left out.
"""

from collections.abc import Sequence

NAME = "tags"  # what the column `audio_captioner` says: the tagger's classes, no captioning model


def caption_of(
    likely: dict[str, float], sounds: Sequence[str], music: Sequence[str], quality: float | None, least: float
) -> str:
    """`likely`: the likelihoods of kinds (curation.scores.audio_tags), `sounds` and `music`: descriptions of
    either, `quality`: 1 to 10, `least`: likelihood from which speech and singing are said to be there."""
    sentences = [] if quality is None else [f"This audio has quality: {quality:.1f}."]
    sentences += [
        f"This audio {_contains(likely['speech_likelihood'] >= least)} speech.",
        f"This audio {_contains(likely['singing_likelihood'] >= least)} vocal singing.",
        f'This audio has a description: "{_listed(sounds) or "no other sound"}.".',
        f"This audio contains music with a {likely['music_likelihood']:.2f} likelihood.",
        f'This audio has a music description (if applicable): "{_listed(music) or "no music"}.".',
    ]
    return " ".join(sentences)


def _contains(there: bool) -> str:
    return "contains" if there else "does not contain"


def _listed(names: Sequence[str]) -> str:
    """Class names as running text."""
    return ", ".join(name.lower() for name in names)
