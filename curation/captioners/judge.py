"""Whether an answer can be a caption: empty, cut off, endless and wordless ones are not."""

LEAST = 8  # letters
MOST_WORDS = 600
LEAST_VARIETY = 0.25  # different words over all, of answers of `LONG` words or more: a loop has fewer
LONG = 30
LEAST_LETTERS = 0.5  # letters over everything that is no space


def fault_of(text: str, finish: str | None) -> str | None:
    """Why `text` is no caption, or None."""
    words = text.split()
    if not words:
        return "an empty answer"
    if finish == "length":
        return "an answer cut off at max_tokens"
    if len(words) > MOST_WORDS:
        return f"an answer of {len(words)} words"
    solid = "".join(words)
    letters = sum(letter.isalpha() for letter in solid)
    if letters < max(LEAST, LEAST_LETTERS * len(solid)):
        return "an answer without a sentence"
    if len(words) >= LONG and len(set(words)) < LEAST_VARIETY * len(words):
        return "an answer that repeats itself"
    return None
