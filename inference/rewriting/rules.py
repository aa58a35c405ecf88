"""What a rewritten prompt must be, told to the language model and then checked on its answer (Sec. 3.4.1).

The paper wants one layout of information, simple words, little detail of motion, and the user's intent. It
does not print its instructions: these are ours. An answer is only believed as far as it can be checked.
"""

import re

from models.text.quotes import find_quotes

VERSION = 1  # raise it when the same request should be asked anew
LONG_WORD = 12  # letters; of the words a rewriter adds, one in LONG_SHARE may be longer
LONG_SHARE = 10
KEPT = 0.6  # of the user's other words; the rest may have been put more simply

INSTRUCTIONS = """\
You rewrite a request for a video generator. Write one paragraph of plain English in this order: the subject
and how it looks; what it does; the place; the light and the style; the camera.
- Keep all that the user asked for: every thing, number, colour, direction and "no" or "without", in the
user's own words. Add no other main subject.
- Use simple, common words and short sentences, {words} words at most.
- Say the motion in one short sentence, without its details.
- Text in double quotes will be written in the picture: copy it letter by letter with its quotes. Put
double quotes around other text that the user wants written, and around nothing else.
- Answer with the rewritten request alone: no greeting, heading, list or remark."""

EXAMPLES = (
    (
        "dog running on beach",
        "A brown dog with wet fur. The dog is running along a sandy beach beside the sea. Warm light of a "
        "low sun, natural colours. The camera follows from the side.",
    ),
    (
        'two kids hold a banner saying "Well done"',
        'Two kids in bright shirts hold a white banner saying "Well done". They smile and wave it slowly. A '
        "green park with trees. Soft daylight, clear colours. The camera stands still.",
    ),
)


def _list(text: str) -> list[str]:
    return text.split()


NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        _list("one two three four five six seven eight nine ten eleven twelve"), start=1
    )
}
COLOURS = frozenset(
    _list(
        """red orange yellow green blue purple violet pink brown black white grey gray gold golden silver cyan
        teal"""
    )
)
DIRECTIONS = frozenset(_list("left right up down upward downward forward backward clockwise anticlockwise"))
NEGATIONS = frozenset(_list("no not without never none nobody nothing cannot don doesn isn aren won"))
EMPTY = frozenset(
    _list(
        """a an the and or but of in on at to from with by for as is are was were be being been it its this
        that these those there here he she they we you i his her their our my your who which what very some
        any into over under so such do does did has have had video clip picture image show shows showing
        please make me"""
    )
)
CHATTER = re.compile(
    "(sure|certainly|of course|okay|ok[,.!]|sorry|as an ai|rewritten|prompt:|request:"
    r"|here(['\u2019]s| is| are)\b|i(['\u2019]m| am) |i (can|will))",
    re.IGNORECASE,
)
MARKUP = re.compile(r"^\s*([-*#>\u2022]|\d+[.)]\s)|```|\*\*|</?\w+>", re.MULTILINE)


def conversation(prompt: str, words: int) -> list[dict[str, str]]:
    """The messages that ask for `prompt` to be rewritten in at most `words` words."""
    messages = [{"role": "system", "content": INSTRUCTIONS.format(words=words)}]
    for asked, answered in EXAMPLES:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return [*messages, {"role": "user", "content": prompt}]


def tidy(answer: str) -> str:
    """The answer on one line, without marks around the whole of it."""
    line = " ".join(answer.split())
    inside = line[1:-1]
    return inside if re.fullmatch(r'".*"', line) and '"' not in inside else line


def faults(prompt: str, answer: str, words: int) -> list[str]:
    """Which rules the raw `answer` to `prompt` breaks; an answer without a fault may take its place."""
    line = tidy(answer)
    if not line:
        return ["it is empty"]
    found = [*_layout(answer, line, words), *_quotes(prompt, line), *_intent(prompt, line)]
    return found + _simplicity(prompt, line)


def _layout(answer: str, line: str, words: int) -> list[str]:
    length = len(line.split())
    found = [f"it has {length} words, {words} are allowed"] if length > words else []
    if MARKUP.search(answer) or "\n\n" in answer.strip():
        found.append("it is not one plain paragraph")
    if CHATTER.match(line):
        found.append("it talks to the user")
    return found


def _quotes(prompt: str, line: str) -> list[str]:
    wanted, given = find_quotes(prompt), find_quotes(line)
    found = [f'it lost the text "{text}"' for text in wanted.texts if text not in given.texts]
    found += [f'it invents the text "{text}"' for text in given.texts if text not in prompt]
    return found if given.balanced else [*found, "a quotation in it is not closed"]


def _intent(prompt: str, line: str) -> list[str]:
    asked, answered = _words(prompt), _words(line)
    stems = {stem(word) for word in answered}
    fixed = [word for word in asked if word.isdigit() or word in COLOURS | DIRECTIONS]
    found = [f"it lost '{word}'" for word in dict.fromkeys(fixed) if stem(word) not in stems]
    if NEGATIONS & {*asked} and not NEGATIONS & {*answered}:
        found.append("it lost a negation")
    others = {stem(word) for word in asked if word not in EMPTY | NEGATIONS and word not in fixed}
    lost = sorted(others - stems)
    if len(lost) > (1 - KEPT) * len(others):
        found.append(f"it kept {len(others) - len(lost)} of {len(others)} words that carry the request")
    return found


def _simplicity(prompt: str, line: str) -> list[str]:
    old, words = {*_words(prompt)}, _words(line)
    long = [word for word in words if len(word) > LONG_WORD and word not in old]
    return [f"it uses long words: {', '.join(long[:3])}"] if len(long) * LONG_SHARE > len(words) else []


def _words(text: str) -> list[str]:
    """Words in lower case, numbers as digits."""
    found = re.findall(r"[^\W_]+", text.lower())
    return [str(NUMBERS.get(word, word)) for word in found]


def stem(word: str) -> str:
    """A word without its ending, roughly: `moves`, `moved` and `moving` are one."""
    for ending in ("ing", "ed", "es", "s", "ly", "wards", "ward"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    word = word[:-1] if len(word) > 2 and word[-1] == word[-2] else word
    return {"gray": "grey", "golden": "gold"}.get(word, word).removesuffix("e")
