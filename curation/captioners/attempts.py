"""An endpoint asked until it answers: attempts with growing waits. Trouble of a clip is its error; trouble of
a server stops the run (decision 0025)."""

import random
import time

import numpy as np
from jaxtyping import UInt8

from curation.captioners.answers import Answers
from curation.captioners.client import BusyError, Client, NoReplyError, UnreachableError
from curation.captioners.endpoint import Endpoint
from curation.captioners.judge import fault_of
from curation.captioners.pictures import data_url
from curation.captioners.writer import FAULT, Spent, Voice
from curation.stage import HaltError


class Attempts(Voice):
    """One endpoint in one worker process; `answers` keeps the rate over all of them."""

    def __init__(self, endpoint: Endpoint, answers: Answers):
        self.endpoint, self.answers, self._client = endpoint, answers, Client(endpoint)
        self._silent = 0  # clips one after the other without an answer

    def write(self, prompt: str, frames: list[UInt8[np.ndarray, "h w 3"]], spent: Spent) -> str:
        """The first answer that can be a caption."""
        one, images = self.endpoint, [data_url(frame) for frame in frames]
        trouble: NoReplyError | None = None
        fault = ""
        for attempt in range(one.attempts):
            self._wait(attempt, trouble)
            spent.requests += 1
            try:
                reply = self._client.ask(prompt, images, attempt)
            except NoReplyError as met:
                trouble = met
                if not met.again:
                    break
                continue
            trouble = None
            one.pay(spent, reply.prompt_tokens, reply.completion_tokens)
            fault = fault_of(reply.text, reply.finish)
            if not fault:
                self._silent = 0
                return reply.text
        spent.failed += 1
        raise self._failure(trouble, fault or "")

    def _wait(self, attempt: int, trouble: NoReplyError | None) -> None:
        one = self.endpoint
        pause = one.backoff * 2 ** (attempt - 1) * random.uniform(0.5, 1.0) if attempt else 0.0
        if isinstance(trouble, BusyError):
            pause = max(pause, trouble.after)
        time.sleep(min(pause, one.timeout))
        if one.requests_per_minute:
            time.sleep(self.answers.turn(one.url, 60.0 / one.requests_per_minute))

    def _failure(self, trouble: NoReplyError | None, fault: str) -> Exception:
        """The error of the clip, or the end of the run."""
        one = self.endpoint
        said = f"{FAULT} {one.name}"
        kept = "What was answered is kept: the same command goes on from there."
        if isinstance(trouble, UnreachableError):
            return HaltError(f"{said}: nobody answers at {one.url} ({trouble}). Start the server. {kept}")
        if isinstance(trouble, BusyError):
            return HaltError(
                f"{said}: {one.url} is too busy ({trouble}). Lower requests_per_minute, raise attempts, or "
                f"wait. {kept}"
            )
        if trouble is None:
            self._silent = 0
            return ValueError(f"{said}: {fault}, {one.attempts} times")
        self._silent += 1
        if self._silent >= one.give_up:
            return HaltError(
                f"{said}: {one.url} gave no answer for {one.give_up} clips one after the other, last: "
                f"{trouble}. Look at the server; where it is only slow, raise timeout. {kept}"
            )
        return ValueError(f"{said}: no answer: {trouble}")
