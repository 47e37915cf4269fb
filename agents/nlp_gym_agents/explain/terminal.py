"""A trace for a terminal: a table of the decisions, and bars where there are few.

It is read without colour, in a narrow window and from a pipe: colour only repeats what marks say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nlp_gym.inert import brief, one_line
from nlp_gym_agents.explain import drawing
from nlp_gym_agents.explain.trace import Decision, Option, Trace

_FEW = 4
"""Up to so many decisions are shown with bars."""
_MOST_BARS, _LONGEST_BAR = 6, 24
_WIDE, _MIDDLE = 96, 60
"""Columns of a terminal from which on more is shown of each decision."""
_MOST_ROWS = 400
"""Decisions that are listed; of a longer episode the first ones."""


@dataclass(frozen=True)
class _Marks:
    """The characters of a drawing."""

    chosen: str = "✓"
    right: str = "★"
    wrong: str = "✗"
    to: str = "→"
    bar: str = "█"
    masked: str = "–"
    dot: str = "·"


_ASCII = _Marks("<", "*", "x", "->", "#", "-", "|")


def print_trace(trace: Trace | Sequence[Trace], console: Console | None = None) -> None:
    """Print one trace, or several one after the other.

    Args:
        trace: What `nlp_gym_agents.Agent.explain` gave.
        console: Where; None: stdout, with colours where it is a terminal and ``NO_COLOR`` is not
            set.
    """
    console = console or Console(highlight=False)
    marks = _Marks() if console.encoding.lower().startswith("utf") else _ASCII
    for number, one in enumerate([trace] if isinstance(trace, Trace) else trace):
        if number:
            console.print()
        _print_one(one, console, marks)


def trace_text(trace: Trace | Sequence[Trace], width: int = 100) -> str:
    """What `print_trace` prints in a window of `width` columns, without colour."""
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as captured:
        print_trace(trace, console)
    return captured.get()


def _print_one(trace: Trace, console: Console, marks: _Marks) -> None:
    scale = drawing.Scale(trace)
    console.print(_headline(trace, marks), soft_wrap=True)
    for name, text in trace.context.items():
        console.print(Text.assemble((f"{one_line(name)}: ", "dim"), one_line(text)))
    if not trace.decisions:
        console.print("Nothing was decided: the text is blank.")
        return
    console.print(_result(trace, marks))
    if len(trace.decisions) > 1:
        console.print(_table(trace, scale, console.width, marks))
    if len(trace.decisions) > _MOST_ROWS:
        console.print(f"and {len(trace.decisions) - _MOST_ROWS} more: see --output FILE.html")
    if len(trace.decisions) <= _FEW:
        for number, decision in enumerate(trace.decisions):
            console.print(_subline(trace, number, scale))
            console.print(_bars(decision, scale, console.width, marks))
            _print_words(trace, decision, console)


def _headline(trace: Trace, marks: _Marks) -> Text:
    n = len(trace.decisions)
    parts = [trace.env_id, trace.algo, f"{n} decision{'' if n == 1 else 's'}"]
    if trace.score is not None:
        parts.append(f"{trace.metric.replace('_', ' ') or 'score'} {trace.score:.3f}")
    wrong = sum(drawing.judged(trace, decision) is False for decision in trace.decisions)
    if wrong:
        parts.append(f"{wrong} not as the gold has it")
    return Text(f" {marks.dot} ".join(map(one_line, parts)), "bold")


def _result(trace: Trace, marks: _Marks) -> Text:
    if trace.view == "tagging":
        return _tagged(trace, marks)
    line = Text()
    for name, text in drawing.output_fields(trace):
        line.append(f"{one_line(name)} ", "dim").append(f"{one_line(text)}  ")
    return line


def _tagged(trace: Trace, marks: _Marks) -> Text:
    found = {decision.place: decision for decision in trace.decisions}
    line = Text()
    for place, word in enumerate(trace.words):
        decision = found.get(place)
        label = decision.choice.name if decision else "O"
        wrong = decision is not None and drawing.judged(trace, decision) is False
        if label == "O" and not wrong:
            line.append(f"{one_line(word)} ")
            continue
        line.append(one_line(word), "bold red underline" if wrong else "bold cyan")
        gold = (
            ",".join(option.name for option in drawing.right_options(decision)) if decision else ""
        )
        note = f"[{label}{f' {marks.right}{gold}' if wrong and gold else ''}]"
        line.append(f"{one_line(note)} ", "red" if wrong else "cyan")
    return line


def _table(trace: Trace, scale: drawing.Scale, width: int, marks: _Marks) -> Table:
    """One row a decision: what it is on, the choice, the runner-up, and what is known of it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    judged = any(drawing.judged(trace, decision) is not None for decision in trace.decisions)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("on", overflow="ellipsis", no_wrap=True, max_width=max(width // 4, 8))
    table.add_column("chosen", overflow="ellipsis", no_wrap=True, max_width=max(width // 3, 10))
    table.add_column("Q" if trace.scores == "value" else "p", justify="right", no_wrap=True)
    if judged:
        table.add_column("gold", overflow="ellipsis", no_wrap=True, max_width=max(width // 4, 8))
    if width >= _MIDDLE:
        table.add_column("runner-up", overflow="ellipsis", no_wrap=True)
        table.add_column("ahead by", justify="right", no_wrap=True)
    if width >= _WIDE:
        table.add_column("legal", justify="right", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("reward", justify="right", no_wrap=True)
    for number, decision in enumerate(trace.decisions[:_MOST_ROWS]):
        cells = [
            Text(str(number + 1), "dim"),
            Text(brief(drawing.heading(trace, number), 40)),
            Text(_name(decision.choice, marks), "bold"),
            Text(scale.text(decision.choice.score)),
        ]
        if judged:
            cells.append(_gold(trace, decision, marks))
        if width >= _MIDDLE:
            cells += [
                Text(_runner_up(decision, scale, marks), "dim"),
                Text(scale.margin(decision.margin).removesuffix(" points")),
            ]
        if width >= _WIDE:
            cells += [
                Text(f"{decision.n_legal}/{decision.n_actions}"),
                Text("" if decision.value is None else f"{decision.value:+.2f}"),
                Text("" if decision.reward is None else f"{decision.reward:+.2f}"),
            ]
        table.add_row(*cells)
    return table


def _name(option: Option, marks: _Marks, most: int = 48) -> str:
    return brief(drawing.option_name(option).replace("→", marks.to), most)


def _gold(trace: Trace, decision: Decision, marks: _Marks) -> Text:
    right = drawing.judged(trace, decision)
    if right is None:
        return Text()
    if right:
        return Text(marks.right, "green")
    names = ", ".join(_name(option, marks, 24) for option in drawing.right_options(decision))
    return Text(f"{marks.wrong} {names}", "red")


def _runner_up(decision: Decision, scale: drawing.Scale, marks: _Marks) -> str:
    for option in decision.options:
        if option.action == decision.runner_up:
            return f"{_name(option, marks, 24)} {scale.text(option.score)}"
    return ""


def _subline(trace: Trace, number: int, scale: drawing.Scale) -> Text:
    decision = trace.decisions[number]
    facts = [f"{decision.n_legal} of {decision.n_actions} legal"]
    if margin := scale.margin(decision.margin):
        facts.append(f"ahead by {margin}")
    if decision.value is not None:
        facts.append(f"value {decision.value:+.2f}")
    if decision.reward is not None:
        facts.append(f"reward {decision.reward:+.2f}")
    name = brief(drawing.heading(trace, number))
    return Text.assemble((f"{number + 1} {name}  ", "bold"), (", ".join(facts), "dim"))


def _bars(decision: Decision, scale: drawing.Scale, width: int, marks: _Marks) -> Table:
    longest = min(_LONGEST_BAR, max(width // 5, 4))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", max_width=max(width - longest - 28, 12))
    table.add_column(no_wrap=True, width=longest)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for rank, option in enumerate(decision.options):
        chosen = option.action == decision.chosen
        if rank >= _MOST_BARS and not (chosen or option.right):
            continue
        length = round(scale.share(option.score) * longest) if option.legal else 0
        notes = [
            note
            for note, holds in (
                (marks.chosen if width < _MIDDLE else "chosen", chosen),
                (marks.right if width < _MIDDLE else f"{marks.right} right", bool(option.right)),
                ("masked", not option.legal),
            )
            if holds
        ]
        table.add_row(
            Text(_name(option, marks, 160), "bold" if chosen else ""),
            Text(marks.bar * length, "blue" if chosen else "dim"),
            Text(scale.text(option.score) if option.legal else marks.masked),
            Text(", ".join(notes), "dim"),
        )
    return table


def _print_words(trace: Trace, decision: Decision, console: Console) -> None:
    found = drawing.telling_words(trace, decision)
    if found:
        words = "  ".join(f"{one_line(word)} {weight:+.3f}" for _, word, weight in found)
        console.print(Text.assemble((f"words ({one_line(trace.relevance)}): ", "dim"), words))
