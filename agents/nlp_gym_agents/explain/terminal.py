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
_BREAK = "\n"
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
    if console.encoding.lower().startswith("utf"):
        _print_all(trace, console, _Marks())
        return
    with console.capture() as captured:  # what the terminal cannot show is spelled
        _print_all(trace, console, _ASCII)
    shown = captured.get().encode(console.encoding, "backslashreplace")
    console.file.write(shown.decode(console.encoding))


def _print_all(trace: Trace | Sequence[Trace], console: Console, marks: _Marks) -> None:
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
    for note in trace.notes:
        console.print(Text(one_line(note), "dim"))
    if not trace.decisions:
        console.print("Nothing was decided: the text is blank.")
        return
    if trace.view == "tree":
        for line in drawing.tree_text(trace):
            console.print(Text(line), soft_wrap=True)
    else:
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
        line.append(f"{one_line(name)} ", "dim").append(f"{one_line(text.replace(_BREAK, '; '))}  ")
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
    columns = _columns(trace, scale, width, marks)
    padding = 2 * (len(columns) - 1)
    numbers = sum(column.natural for column in columns if column.is_number)
    texts = [column.natural for column in columns if not column.is_number]
    fitted = iter(_fitted(texts, width - padding - numbers))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(
            column.name,
            justify="right" if column.is_number else "left",
            width=column.natural if column.is_number else next(fitted),
            overflow="crop" if marks is _ASCII else "ellipsis",
            no_wrap=True,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


@dataclass(frozen=True)
class _Column:
    """A column of the table.

    Attributes:
        name: Its head.
        cells: One for each decision that is listed.
        is_number: It is never cut.
    """

    name: str
    cells: Sequence[Text]
    is_number: bool = False

    @property
    def natural(self) -> int:
        """The width at which nothing is cut."""
        return max([len(self.name), *(cell.cell_len for cell in self.cells)])


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """Widths that fit into `room` together; the widest give way first."""
    found = list(widths)
    left = room
    for place, i in enumerate(sorted(range(len(widths)), key=widths.__getitem__)):
        found[i] = max(min(widths[i], left // (len(widths) - place)), 4)
        left -= found[i]
    return found


def _columns(trace: Trace, scale: drawing.Scale, width: int, marks: _Marks) -> list[_Column]:
    """The columns that a terminal of `width` has room for."""
    shown = trace.decisions[:_MOST_ROWS]
    judged = any(drawing.judged(trace, decision) is not None for decision in trace.decisions)
    heads = [Text(brief(drawing.heading(trace, i), 40)) for i in range(len(shown))]
    scores = [Text(scale.text(d.choice.score)) for d in shown]
    columns = [
        _Column("#", [Text(str(i + 1), "dim") for i in range(len(shown))], True),
        _Column("on", heads),
        _Column("chosen", [Text(_name(d.choice, marks), "bold") for d in shown]),
        _Column("Q" if trace.scores == "value" else "p", scores, True),
    ]
    if judged:
        columns.append(_Column("gold", [_gold(trace, d, marks) for d in shown]))
    if width >= _MIDDLE:
        margins = [Text(scale.margin(d.margin).removesuffix(" points")) for d in shown]
        seconds = [Text(_runner_up(d, scale, marks), "dim") for d in shown]
        columns += [_Column("runner-up", seconds), _Column("ahead by", margins, True)]
    if width >= _WIDE:
        legal = [Text(f"{d.n_legal}/{d.n_actions}") for d in shown]
        values = [Text("" if d.value is None else f"{d.value:+.2f}") for d in shown]
        rewards = [Text("" if d.reward is None else f"{d.reward:+.2f}") for d in shown]
        columns += [
            _Column("legal", legal, True),
            _Column("value", values, True),
            _Column("reward", rewards, True),
        ]
    return columns


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
    facts = ", ".join(drawing.decision_facts(decision, scale))
    name = brief(drawing.heading(trace, number))
    return Text.assemble((f"{number + 1} {name}  ", "bold"), (facts, "dim"))


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
