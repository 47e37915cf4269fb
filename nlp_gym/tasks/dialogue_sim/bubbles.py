"""A dialogue as people see it: what each side said, and what the system decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlp_gym.render import Piece
    from nlp_gym.tasks.dialogue_sim.state import SimState
    from nlp_gym.tasks.dialogue_sim.task import DialogueSim


def dialogue_pieces(task: DialogueSim, state: SimState, i: int) -> list[Piece]:
    """Episode `i`, turn by turn; what was heard wrong is shown as it was heard."""
    from nlp_gym.render import Piece

    goal = " ".join(task.sample(int(state.row[i])).words)
    pieces, turn = [Piece(f"GOAL {goal}", "dim", line=True)], int(state.turn[i])
    for n, (said, *answer) in enumerate(state.history[i, : turn + 1].tolist()):
        text = task.sentences.text(said)
        if n:
            act = task.action_name(int(state.played[i, n - 1]))
            pieces.append(Piece(f"SYSTEM {text}", "chosen", label=act, line=True))
        else:
            pieces.append(Piece(f"SYSTEM {text}", line=True))
        heard = " ".join(filter(None, map(task.sentences.text, answer)))
        if heard:
            pieces.append(Piece(f"USER {heard}", "here" if n == turn else "plain", line=True))
    return pieces
