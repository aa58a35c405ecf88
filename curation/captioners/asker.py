"""Captions from a mix of endpoints: whose turn, what is known already, attempts with growing waits, and what
it all cost. NoReplyError of a clip is its error; trouble of a server stops the run (decision 0025)."""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from curation.captioners.answers import Answer, Answers
from curation.captioners.client import BusyError, Client, NoReplyError, Reply, UnreachableError
from curation.captioners.endpoint import Endpoint, share
from curation.captioners.judge import fault_of
from curation.captioners.pictures import pictures
from curation.captioners.prompts import filled, read_prompt
from curation.stage import HaltError, Row
from storage import fingerprint


@dataclass
class Spent:
    """What the clips of one captioner cost, whenever they were paid for."""

    clips: int = 0
    "With a caption"
    reused: int = 0
    "Of them, those whose answer was there already"
    failed: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Asker:
    """Asks for captions; one for each worker process."""

    def __init__(self, endpoints: Sequence[Endpoint], root: Path, store: Path):
        self.endpoints, self.root, self.answers = endpoints, root, Answers(store)
        self._prompts = {one.name: read_prompt(one.prompt) for one in endpoints}
        self._marks = {one.name: fingerprint(one.answers_to()) for one in endpoints}
        self._clients = {one.name: Client(one) for one in endpoints}
        self._silent = dict.fromkeys(self._clients, 0)  # clips one after the other without an answer
        self._spent: dict[str, Spent] = {}

    def caption(self, row: Row) -> tuple[str, str]:
        """The caption of a clip and the name of who wrote it. A ValueError says why there is none."""
        one = share(row["clip_id"], self.endpoints)
        count = self._spent.setdefault(one.name, Spent())
        prompt = filled(self._prompts[one.name], row, min(one.frames, row["frames"]))
        key = fingerprint([self._marks[one.name], prompt, row["clip_id"]])
        answer = self.answers.get(key)
        count.reused += answer is not None
        if answer is None:
            images = pictures(self.root, row, one.frames, one.size)
            before = asdict(count)
            text = self._asked(one, prompt, images, count)
            paid = (
                getattr(count, name) - before[name]
                for name in ("requests", "prompt_tokens", "completion_tokens")
            )
            self.answers.put(key, Answer(text, *paid))
            count.clips += 1
            return text, one.name
        count.clips += 1
        _pay(count, one, answer.requests, answer.prompt_tokens, answer.completion_tokens)
        return answer.text, one.name

    def spent(self) -> dict[str, dict[str, float]]:
        """By captioner, since the last call."""
        spent, self._spent = {name: asdict(one) for name, one in sorted(self._spent.items())}, {}
        return spent

    def _asked(self, one: Endpoint, prompt: str, images: list[str], count: Spent) -> str:
        """The first answer that can be a caption."""
        trouble: NoReplyError | None = None
        fault = ""
        for attempt in range(one.attempts):
            self._wait(one, attempt, trouble)
            count.requests += 1
            try:
                reply: Reply = self._clients[one.name].ask(prompt, images, attempt)
            except NoReplyError as met:
                trouble = met
                if not met.again:
                    break
                continue
            trouble = None
            _pay(count, one, 0, reply.prompt_tokens, reply.completion_tokens)
            fault = fault_of(reply.text, reply.finish)
            if not fault:
                self._silent[one.name] = 0
                return reply.text
        count.failed += 1
        raise self._failure(one, trouble, fault or "")

    def _wait(self, one: Endpoint, attempt: int, trouble: NoReplyError | None) -> None:
        pause = one.backoff * 2 ** (attempt - 1) * random.uniform(0.5, 1.0) if attempt else 0.0
        if isinstance(trouble, BusyError):
            pause = max(pause, trouble.after)
        time.sleep(min(pause, one.timeout))
        if one.requests_per_minute:
            time.sleep(self.answers.turn(one.url, 60.0 / one.requests_per_minute))

    def _failure(self, one: Endpoint, trouble: NoReplyError | None, fault: str) -> Exception:
        """The error of the clip, or the end of the run."""
        said = f"captioner {one.name}"
        kept = "What was answered is kept: the same command goes on from there."
        if isinstance(trouble, UnreachableError):
            return HaltError(f"{said}: nobody answers at {one.url} ({trouble}). Start the server. {kept}")
        if isinstance(trouble, BusyError):
            return HaltError(
                f"{said}: {one.url} is too busy ({trouble}). Lower requests_per_minute, raise attempts, or "
                f"wait. {kept}"
            )
        if trouble is None:
            self._silent[one.name] = 0
            return ValueError(f"{said}: {fault}, {one.attempts} times")
        self._silent[one.name] += 1
        if self._silent[one.name] >= one.give_up:
            return HaltError(
                f"{said}: {one.url} gave no answer for {one.give_up} clips one after the other, last: "
                f"{trouble}. Look at the server; where it is only slow, raise timeout. {kept}"
            )
        return ValueError(f"{said}: no answer: {trouble}")


def _pay(count: Spent, one: Endpoint, requests: int, prompt_tokens: int, completion_tokens: int) -> None:
    count.requests += requests
    count.prompt_tokens += prompt_tokens
    count.completion_tokens += completion_tokens
    count.cost += (prompt_tokens * one.price_in + completion_tokens * one.price_out) / 1e6
