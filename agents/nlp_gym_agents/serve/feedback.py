"""What a client says of a prediction, and keeping it: the requests to ``/feedback``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_gym.errors import shown
from nlp_gym_agents.prediction.feedback.report import FeedbackCount
from nlp_gym_agents.serve.body import check_keys, inputs_of
from nlp_gym_agents.serve.limits import Limits, RequestError
from nlp_gym_agents.serve.served import ServedRun

KEYS = ("text", "samples", "run", "correct", "reward", "prediction")


@dataclass(frozen=True)
class Said:
    """What somebody says of one text or sample.

    Attributes:
        given: The text, or a sample as a row.
        correct: Its answer, as for `Agent.observe`; None: a rating.
        reward: What a prediction is worth; None: a correction.
        prediction: Which one; None: that of now.
    """

    given: Any
    correct: Any = None
    reward: float | None = None
    prediction: Mapping[str, Any] | None = None


def said_of(body: Mapping[str, Any], run: ServedRun, limits: Limits) -> Said:
    """What the body of a request says.

    Raises:
        RequestError: Keys or values are wrong (400), or it is too much (413).
    """
    check_keys(body, KEYS)
    asked = {key: body[key] for key in ("text", "samples") if key in body}
    inputs_of(asked, run, limits)
    given = asked.get("text")
    if "samples" in asked:
        if len(asked["samples"]) != 1:
            raise RequestError(400, "samples must have one sample: feedback is on one at a time.")
        (given,) = asked["samples"]
    if ("correct" in body) == ("reward" in body):
        raise RequestError(400, "the body must have one of the keys correct and reward.")
    if "correct" in body:
        if "prediction" in body:
            raise RequestError(400, "the key prediction goes with reward: leave it out.")
        return Said(given, correct=body["correct"])
    reward, prediction = body["reward"], body.get("prediction")
    if not isinstance(reward, bool | int | float) or not 0 <= reward <= 1:
        raise RequestError(400, f"reward={shown(reward)} must be a number from 0 to 1, or a bool.")
    if prediction is not None and not isinstance(prediction, dict):
        raise RequestError(400, f"prediction={shown(prediction)} must be what /predict answered.")
    return Said(given, reward=float(reward), prediction=prediction)


def keep(run: ServedRun, said: Said, limits: Limits) -> FeedbackCount:
    """Keep it; in the thread of the models.

    Raises:
        RequestError: As much is kept of the run as may be (507).
        NLPGymError: It does not fit the text, or cannot be written.
    """
    agent = run.agent
    file = agent.feedback_file
    if file.exists() and file.stat().st_size > limits.feedback_bytes:
        raise RequestError(
            507,
            f"{run.name} has {limits.feedback_bytes:,} bytes of feedback, which is the most: let "
            "it learn from that (nlp-gym learn), and move the file away.",
            limit="feedback_bytes",
        )
    if said.reward is None:
        agent.observe(said.given, said.correct)
    else:
        agent.feedback(said.given, said.prediction, said.reward)
    return agent.count_feedback()
