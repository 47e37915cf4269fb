"""What decisions, actions and outputs are called in a drawing, and which of them stand out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nlp_gym.render import Frame, Piece
from nlp_gym_agents.explain.drawing.scale import Scale, is_number
from nlp_gym_agents.explain.trace import Decision, Option, Trace

READ = "READ"
"""The action of a reader that asks for more text."""
_MOST_OUTPUT = 400
"""Characters of a field of the output that are shown."""
_NOT_SHOWN = (
    *("tokens", "id", "text", "start", "end", "confidence", "calibrated"),
    *("confidences", "index", "ranking", "sentences"),
)
"""Fields of an output that a drawing says otherwise, or that only programs need."""
_MOST_LINES = 4
_MOST_TEXT = 60
"""Characters of the text that names a decision."""
_TELLING = 0.005
"""The least that the relevance of some word must be for words to be shown."""


def place_text(trace: Trace, decision: Decision) -> str:
    """What a decision is on, in a few words: a word, a pair, a piece of a text; or nothing."""
    if decision.at:
        return decision.at
    if decision.place is not None and 0 <= decision.place < len(trace.words):
        return trace.words[decision.place]
    return ""


def decision_facts(decision: Decision, scale: Scale) -> list[str]:
    """The numbers of a decision in words: legal actions, lead, value and reward."""
    facts = [f"{decision.n_legal} of {decision.n_actions} legal"]
    if lead := scale.lead(decision.margin):
        facts.append(lead)
    if decision.value is not None:
        facts.append(f"value {decision.value:+.2f}")
    if decision.reward is not None:
        facts.append(f"reward {decision.reward:+.2f}")
    return facts


def has_places(trace: Trace) -> bool:
    """Whether each decision is on something that can be named."""
    return any(place_text(trace, decision) for decision in trace.decisions)


def heading(trace: Trace, number: int) -> str:
    """The name of decision `number` (from 0) for the head of a row."""
    decision = trace.decisions[number]
    if trace.view == "span" and len(trace.decisions) == 2:
        return ("where it begins", "where it ends")[number]
    if trace.view == "writing":
        return f"token {number + 1}"
    found = piece_read(trace, decision) if trace.view == "reading" else place_text(trace, decision)
    found = (
        found or f"{'choice' if trace.view in ('labels', 'ranking') else 'decision'} {number + 1}"
    )
    return found if len(found) <= _MOST_TEXT else f"{found[: _MOST_TEXT - 1]}…"


def piece_read(trace: Trace, decision: Decision) -> str:
    """The piece of the text that a decision of a reader came after."""
    if decision.span is not None:
        return " ".join(trace.words[slice(*decision.span)])
    here = [piece.text for piece in decision.seen.pieces if piece.mark == "here"]
    return decision.at or " ".join(here) or decision.seen.place


def pieces_read(trace: Trace) -> list[str]:
    """The piece of the text that each decision of a reader came after."""
    return [piece_read(trace, decision) for decision in trace.decisions]


def unread(trace: Trace) -> str:
    """What a reader left unread when it decided."""
    if not trace.decisions:
        return ""
    if (span := trace.decisions[-1].span) is not None:
        return " ".join(trace.words[span[1] :])
    pieces = trace.decisions[-1].seen.pieces
    return " ".join(piece.text for piece in pieces if piece.mark == "dim")


def judged(trace: Trace, decision: Decision) -> bool | None:
    """Whether a choice is as the gold has it; None: nobody says, as of reading on."""
    if trace.view == "reading" and decision.choice.name == READ:
        return None
    return decision.choice.right


def option_name(option: Option) -> str:
    """An action in words, with where it leads."""
    return f"{option.name} → {option.target}" if option.target else option.name


def right_options(decision: Decision) -> tuple[Option, ...]:
    """What the gold has, at a decision."""
    return tuple(option for option in decision.options if option.right)


def narrowest(trace: Trace, most: int = 3) -> list[int]:
    """The decisions with the smallest margins, the smallest first; none where all are wide."""
    found = [
        (decision.margin, number)
        for number, decision in enumerate(trace.decisions)
        if is_number(decision.margin) and decision.n_legal > 1
    ]
    return [number for _, number in sorted(found)[:most]] if len(found) > most else []


def has_telling(decision: Decision) -> bool:
    """Whether any word made a difference to a choice."""
    return any(is_number(weight) and abs(weight) >= _TELLING for weight in decision.relevance)


def telling_words(trace: Trace, decision: Decision, most: int = 8) -> list[tuple[int, str, float]]:
    """The words that spoke most for or against the choice: (place, word, relevance)."""
    found = [
        (i, word, weight)
        for i, (word, weight) in enumerate(zip(trace.words, decision.relevance, strict=False))
        if is_number(weight) and abs(weight) >= _TELLING
    ]
    return sorted(found, key=lambda item: -abs(item[2]))[:most]


def glimpse(frame: Frame, around: int = 9, letters: int = 320) -> list[Piece]:
    """What a person saw just before a decision, cut down to what is near it.

    Args:
        frame: What was seen.
        around: Pieces kept on either side of the one that is decided on.
        letters: Most characters of a piece; of a longer one the beginning and the end are kept.
    """
    pieces = list(frame.pieces)
    here = next((i for i, piece in enumerate(pieces) if piece.mark == "here"), 0)
    lines = {i for i, piece in enumerate(pieces) if piece.line}
    first, stop = max(here - around, 0), here + around + 1
    if len(lines) > 1:  # of a list, the heading line is kept too
        first = 0 if first <= 2 else first
    kept = [_cut(piece, letters) for piece in pieces[first:stop]]
    before = [Piece("…", "dim")] if first else []
    after = [Piece("…", "dim")] if stop < len(pieces) else []
    return [*before, *kept, *after]


def _cut(piece: Piece, letters: int) -> Piece:
    if len(piece.text) <= letters:
        return piece
    half = letters // 2
    return replace(piece, text=f"{piece.text[:half]} … {piece.text[-half:]}")


def output_fields(trace: Trace) -> list[tuple[str, str]]:
    """The fields of what came out that say more than the words and the context do."""
    known = {" ".join(trace.words), *trace.context.values(), str(trace.output.get("text", ""))}
    known = {" ".join(text.split()) for text in known}
    known |= {_as_text(list(trace.words))}
    found = [
        (name.replace("_", " "), _as_text(value))
        for name, value in trace.output.items()
        if name not in _NOT_SHOWN
    ]
    fields = [(name, text) for name, text in found if text and " ".join(text.split()) not in known]
    confidence = trace.output.get("confidence")
    if isinstance(confidence, float):
        note = "" if trace.output.get("calibrated", True) else " (not calibrated)"
        fields.append(("confidence", f"{confidence:.1%}{note}"))
    return fields


def _as_text(value: Any) -> str:
    """A field of an output in a few words; empty: it is not shown."""
    if isinstance(value, str | int | float | bool):
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    elif isinstance(value, list | tuple):
        parts = [text for item in value if (text := _as_text(item))]
        long = any(isinstance(item, dict) for item in value) or max(map(len, parts), default=0) > 30
        if long and len(parts) > _MOST_LINES + 1:
            parts = [*parts[:_MOST_LINES], f"and {len(parts) - _MOST_LINES} more"]
        text = ("\n" if long else ", ").join(parts) or "none"
    elif isinstance(value, dict):
        text = " · ".join(dict.fromkeys(t for item in value.values() if (t := _as_text(item))))
    else:
        return ""
    return text if len(text) <= _MOST_OUTPUT else f"{text[:_MOST_OUTPUT]}…"
