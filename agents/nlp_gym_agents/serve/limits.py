"""What one client may ask for, and the errors that name the limit that was passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from nlp_gym.errors import InvalidArgumentError, shown


@dataclass(frozen=True)
class Limits:
    """Bounds of a server; every one is above zero.

    Attributes:
        body_bytes: Most bytes of a request's body.
        texts: Most texts or samples of a request.
        characters: Most characters of all texts of a request together.
        explained: Most texts or samples of a request that asks for traces.
        explained_characters: Most characters of them together.
        relevance_characters: Likewise where the trace says which words spoke for a choice.
        waiting: Most requests that wait for the model; one more is refused.
        batch: Most texts that the model decides on at once.
        batch_characters: Requests are put into one batch up to so many characters.
        batch_wait_s: Seconds that the model waits for further requests to fill its batch.
        answer_s: Seconds until a request is answered, or refused.
        header_s: Seconds within which a client has to send the head of a request.
        body_s: Seconds within which a client has to send the body of a request.
        grace_s: Seconds that accepted requests have for their answers once the server stops.
        connections: Most open connections.
        episodes: Most episodes that are played by hand at a time.
        episode_s: Seconds after which an episode that nobody plays is forgotten.
        feedback_bytes: Bytes of a run's feedback beyond which no more is taken.
    """

    body_bytes: int = 1 << 20
    texts: int = 256
    characters: int = 100_000
    explained: int = 8
    explained_characters: int = 10_000
    relevance_characters: int = 1000
    waiting: int = 1000
    batch: int = 64
    batch_characters: int = 50_000
    batch_wait_s: float = 0.002
    answer_s: float = 60.0
    header_s: float = 10.0
    body_s: float = 10.0
    grace_s: float = 20.0
    connections: int = 1000
    episodes: int = 100
    episode_s: float = 1800.0
    feedback_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        """Check that every limit is above zero."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise InvalidArgumentError(
                    f"{field.name}={shown(value)} must be above 0: it bounds what a client may ask."
                )


class RequestError(Exception):
    """A request that is refused.

    Args:
        status: The HTTP status of the answer.
        message: What is wrong and what is allowed, for the client.
        limit: The field of `Limits` that was passed; ``""``: none.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        limit: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.limit = status, message, limit
        self.headers = dict(headers or {})

    def content(self) -> dict[str, str]:
        """The JSON object of the answer."""
        named = {"limit": self.limit} if self.limit else {}
        return {"error": self.message, **named}
