"""Captions from a mix of captioners: whose turn it is, what is known already, and what it all cost."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from curation.captioners.answers import Answer, Answers
from curation.captioners.attempts import Attempts
from curation.captioners.endpoint import Endpoint
from curation.captioners.local import LocalModel, LocalVoice
from curation.captioners.pictures import pictures
from curation.captioners.prompts import filled, read_prompt
from curation.captioners.writer import Spent, Voice, share
from curation.stage import Row
from storage import fingerprint


class Asker:
    """Asks for captions; one for each worker process."""

    def __init__(self, writers: Sequence[Endpoint | LocalModel], root: Path, store: Path):
        self.writers, self.root, self.answers = writers, root, Answers(store)
        self._prompts = {one.name: read_prompt(one.prompt) for one in writers}
        self._marks = {one.name: fingerprint(one.answers_to()) for one in writers}
        self._voices = {one.name: self._voice(one) for one in writers}
        self._spent: dict[str, Spent] = {}

    def caption(self, row: Row) -> tuple[str, str]:
        """The caption of a clip and the name of who wrote it. A ValueError says why there is none."""
        one = share(row["clip_id"], self.writers)
        count = self._spent.setdefault(one.name, Spent())
        prompt = filled(self._prompts[one.name], row, min(one.frames, row["frames"]))
        key = fingerprint([self._marks[one.name], prompt, row["clip_id"]])
        answer = self.answers.get(key)
        if answer is None:
            paid, frames = Spent(), pictures(self.root, row, one.frames, one.size)
            try:
                text = self._voices[one.name].write(prompt, frames, paid)
            finally:
                count.failed += paid.failed
                count.requests += paid.requests
                one.pay(count, paid.prompt_tokens, paid.completion_tokens)
            self.answers.put(key, Answer(text, paid.requests, paid.prompt_tokens, paid.completion_tokens))
        else:
            text = answer.text
            count.reused += 1
            count.requests += answer.requests
            one.pay(count, answer.prompt_tokens, answer.completion_tokens)
        count.clips += 1
        return text, one.name

    def spent(self) -> dict[str, dict[str, float]]:
        """By captioner, since the last call."""
        spent, self._spent = {name: asdict(one) for name, one in sorted(self._spent.items())}, {}
        return spent

    def _voice(self, one: Endpoint | LocalModel) -> Voice:
        return LocalVoice(one) if isinstance(one, LocalModel) else Attempts(one, self.answers)
