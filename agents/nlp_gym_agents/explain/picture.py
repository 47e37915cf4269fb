"""A trace as a picture, drawn with Pillow in the fonts of `nlp_gym.render`, for any script.

A picture shows what the page shows above its folds; of a long episode it shows the beginning.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from nlp_gym.inert import one_line, visible
from nlp_gym.render import Piece
from nlp_gym.render.glyphs import draw_text, text_width
from nlp_gym.render.layout import Column, shortened
from nlp_gym.render.text import PALETTE
from nlp_gym.render.tree_picture import TreeColumn, TreeRow
from nlp_gym_agents.explain import drawing
from nlp_gym_agents.explain.drawing.colours import contrast, heat_colour
from nlp_gym_agents.explain.trace import Trace

WIDTH, HIGHEST = 1200, 20_000
"""Pixels; what does not fit into the height is left out, and said to be."""
_MARGIN, _GAP = 36, 22
_INK, _MUTED, _RULE, _ACCENT, _BAD = "#1f2328", "#59636e", "#d1d9e0", "#0b4f9e", "#a40e26"
_BAR, _GREY, _TRACK, _SECOND, _GOLD = "#4a8fd6", "#b9c2cc", "#e8edf2", "#b35900", "#7d4e00"
_BODY, _SMALL = 19, 15
_COLOURS, _MOST_TEXT = 128, 400
_MOST_ROWS, _MOST_BARS, _MOST_DECISIONS = 60, 8, 8


@dataclass(frozen=True)
class _Block:
    """A part of the picture.

    Attributes:
        height: In pixels.
        draw: Draws it, given the picture and the height at which it begins.
    """

    height: int
    draw: Callable[[Image.Image, int], None]


def trace_picture(trace: Trace | Sequence[Trace]) -> Image.Image:
    """Draw one trace, or several one below the other.

    Args:
        trace: What `nlp_gym_agents.Agent.explain` gave.

    Returns:
        An RGB picture, `WIDTH` pixels wide and as high as it needs to be, at most `HIGHEST`.
    """
    traces = [trace] if isinstance(trace, Trace) else list(trace)
    kept: list[_Block] = []
    height = 2 * _MARGIN - _GAP
    for block in _all_blocks(traces):
        if height + block.height + _GAP > HIGHEST - 100:
            block = _line("The rest is left out of this picture; the page has it.", _MUTED)
            kept.append(block)
            height += block.height + _GAP
            break
        kept.append(block)
        height += block.height + _GAP
    image = Image.new("RGB", (WIDTH, max(height, 2 * _MARGIN)), "white")
    top = _MARGIN
    for block in kept:
        block.draw(image, top)
        top += block.height + _GAP
    return image


def trace_png(trace: Trace | Sequence[Trace]) -> bytes:
    """`trace_picture` as the bytes of a PNG file, in at most 128 colours."""
    file = io.BytesIO()
    image = trace_picture(trace).quantize(_COLOURS, dither=Image.Dither.NONE)
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _all_blocks(traces: Sequence[Trace]) -> Iterator[_Block]:
    for number, trace in enumerate(traces):
        if number:
            yield _Block(1, _rule)
        yield from _blocks(trace, drawing.Scale(trace))


def _rule(image: Image.Image, top: int) -> None:
    ImageDraw.Draw(image).line((0, top, WIDTH, top), _RULE, 2)


def _blocks(trace: Trace, scale: drawing.Scale) -> Iterator[_Block]:
    yield _line(one_line(_headline(trace)), _MUTED, _SMALL)
    for name, text in trace.context.items():
        yield _paragraph([Piece(f"{one_line(name)}:", "dim"), Piece(one_line(text))])
    for note in trace.notes:
        yield _paragraph([Piece(one_line(note), "dim")], _SMALL)
    if not trace.decisions:
        yield _line("Nothing was decided: the text is blank.", _INK)
        return
    if trace.view == "tagging":
        yield _paragraph(_tagged(trace))
    elif trace.view == "tree":
        yield from _tree(trace)
    else:
        fields = drawing.output_fields(trace)
        pieces = [Piece(f"{one_line(n)}: {visible(t, lines=True)}", line=True) for n, t in fields]
        if trace.view != "span" and not trace.context:
            pieces.insert(0, Piece(one_line(_beginning(trace)), "dim"))
        if pieces:
            yield _paragraph(pieces)
    if trace.view == "span":
        yield _passage(trace, scale)
    if trace.view == "walk":
        yield _walk(trace, scale)
    elif len(trace.decisions) > 1 and _is_map(trace):
        yield _grid(trace, scale)
        return
    if trace.view == "writing":
        yield _tokens(trace, scale)
        return
    for number in range(min(len(trace.decisions), _MOST_DECISIONS)):
        yield _bars(trace, number, scale)
    if len(trace.decisions) > _MOST_DECISIONS:
        yield _line(f"and {len(trace.decisions) - _MOST_DECISIONS} more decisions", _MUTED)


def _tree(trace: Trace) -> Iterator[_Block]:
    """The tree that came out, a block for each of its rows."""
    words, arcs = drawing.tree_of(trace)
    column = TreeColumn([Piece(word) for word in words], arcs, _BODY, WIDTH - 2 * _MARGIN)

    def block(row: TreeRow) -> _Block:
        height = column.height(row)
        return _Block(height, lambda image, top: column.draw(image, (_MARGIN, top), row, height))

    yield from map(block, column.rows)
    if left_out := len(trace.words) - len(column.pieces):
        yield _line(f"and {left_out} more words", _MUTED)


def _is_map(trace: Trace) -> bool:
    """Whether decisions by actions say it best."""
    if trace.view == "ranking":
        return drawing.has_places(trace)
    return trace.view in ("tagging", "reading", "labels")


def _beginning(trace: Trace) -> str:
    text = " ".join(trace.words)
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _headline(trace: Trace) -> str:
    n = len(trace.decisions)
    parts = [trace.env_id, trace.algo, f"{n} decision{'' if n == 1 else 's'}"]
    if trace.score is not None:
        parts.append(f"{trace.metric.replace('_', ' ') or 'score'} {trace.score:.3f}")
    return "  ·  ".join(parts)


def _tagged(trace: Trace) -> list[Piece]:
    found = {decision.place: decision for decision in trace.decisions}
    pieces = []
    for place, word in enumerate(map(one_line, trace.words)):
        decision = found.get(place)
        if decision is None:
            pieces.append(Piece(word))
            continue
        label, wrong = one_line(decision.choice.name), drawing.judged(trace, decision) is False
        gold = ", ".join(one_line(o.name) for o in drawing.right_options(decision)) if wrong else ""
        plain = label == "O" and not wrong
        mark = "plain" if plain else "wrong" if wrong else "chosen"
        pieces.append(Piece(word, mark, "" if plain else label, gold))
    return pieces


def _line(text: str, ink: str, size: int = _BODY) -> _Block:
    def draw(image: Image.Image, top: int) -> None:
        shown = shortened(text, size, WIDTH - 2 * _MARGIN)
        draw_text(image, (_MARGIN, top + size), shown, size, ink)

    return _Block(round(size * 1.3), draw)


def _paragraph(pieces: Sequence[Piece], size: int = _BODY + 3) -> _Block:
    """Pieces of text, broken into rows; what is decided stands in a box of its colour."""
    column = Column(pieces, size, WIDTH - 2 * _MARGIN)
    rows = column.rows

    def draw(image: Image.Image, top: int) -> None:
        pen = ImageDraw.Draw(image)
        y = float(top)
        for row in rows:
            baseline = y + size * 1.1
            for unit, x, width in row.placed:
                piece = pieces[unit.piece]
                if piece.mark in ("chosen", "wrong"):
                    box = (
                        _MARGIN + x - 5,
                        baseline - size,
                        _MARGIN + x + width + 5,
                        baseline + size * 0.38,
                    )
                    edge = _BAD if piece.mark == "wrong" else None
                    pen.rounded_rectangle(box, 5, PALETTE[piece.colour], edge, 2 if edge else 0)
                text_at, note_at = column.offsets(unit)
                ink = _MUTED if piece.mark == "dim" else _INK
                draw_text(image, (_MARGIN + x + text_at, baseline), unit.text, size, ink)
                if unit.note:
                    at = (_MARGIN + x + note_at, baseline)
                    draw_text(image, at, unit.note, column.note_size, _INK)
            y += column.row_height

    return _Block(column.row_height * len(rows), draw)


def _grid(trace: Trace, scale: drawing.Scale) -> _Block:
    """Decisions by actions as a heat map."""
    grid = drawing.grid_of(trace, scale)
    rows = grid.rows[:_MOST_ROWS]
    left, high, row_height = _MARGIN + 250, 96, 30
    names = [one_line(name) for name in grid.columns]
    cell = min(max((WIDTH - _MARGIN - left) // max(len(names), 1), 40), 92)
    flat = all(text_width(name, _SMALL) < cell - 6 for name in names)
    head = 28 if flat else high

    def draw(image: Image.Image, top: int) -> None:
        pen = ImageDraw.Draw(image)
        for i, name in enumerate(names):
            _column_name(image, name, (left + i * cell, top, cell, head), flat=flat)
        for i, cells in enumerate(rows):
            y = top + head + i * row_height
            _right_aligned(image, one_line(drawing.heading(trace, i)), left - 12, y + 20, 236)
            for k, one in enumerate(cells):
                _draw_cell(image, pen, one, (left + k * cell, y, cell - 3, row_height - 3))
        if len(grid.rows) > len(rows):
            y = top + head + len(rows) * row_height
            more = f"and {len(grid.rows) - len(rows)} more decisions"
            draw_text(image, (left, y + 20), more, _SMALL, _MUTED)

    return _Block(head + row_height * (len(rows) + (len(grid.rows) > len(rows))), draw)


def _column_name(
    image: Image.Image, name: str, box: tuple[int, int, int, int], *, flat: bool
) -> None:
    x, y, width, height = box
    if flat:
        at = x + (width - text_width(name, _SMALL)) / 2
        draw_text(image, (at, y + height - 8), name, _SMALL, _MUTED)
        return
    name = shortened(name, _SMALL, height - 8)
    drawn = Image.new("RGB", (height, 22), "white")
    draw_text(drawn, (4, 16), name, _SMALL, _MUTED)
    image.paste(drawn.rotate(90, expand=True), (x + (width - 22) // 2, y))


def _right_aligned(image: Image.Image, text: str, right: int, baseline: int, most: int) -> None:
    text = shortened(text, _SMALL + 1, most)
    draw_text(image, (right - text_width(text, _SMALL + 1), baseline), text, _SMALL + 1, _INK)


def _draw_cell(
    image: Image.Image,
    pen: ImageDraw.ImageDraw,
    cell: drawing.Cell,
    box: tuple[int, int, int, int],
) -> None:
    x, y, width, height = box
    corners = (x, y, x + width, y + height)
    if cell.masked:
        for k in range(-height, width, 7):
            start = (x + max(k, 0), y + max(-k, 0))
            pen.line((*start, x + min(k + height, width), y + min(height, width - k)), _GREY)
    paper = heat_colour(cell.level / drawing.LEVELS)
    ink = "#000000" if contrast(paper, "#000000") > contrast(paper, "#ffffff") else "#ffffff"
    if not cell.masked and cell.option is not None:
        pen.rounded_rectangle(corners, 4, paper)
    if cell.chosen:
        pen.rounded_rectangle(corners, 4, None, _INK, 3)
    text = "–" if cell.masked else cell.text or ("✓" if cell.chosen else "")
    ink = _MUTED if cell.masked or not cell.level else ink
    if text:
        at = x + (width - text_width(text, _SMALL)) / 2
        draw_text(image, (at, y + height - 9), text, _SMALL, ink)
    if cell.right:
        draw_text(image, (x + width - 13, y + 13), "★", 11, ink if cell.level else _GOLD)


def _bars(trace: Trace, number: int, scale: drawing.Scale) -> _Block:
    """One decision with its likeliest actions."""
    decision = trace.decisions[number]
    kept = [
        option
        for rank, option in enumerate(decision.options)
        if rank < _MOST_BARS or option.right or option.action == decision.chosen
    ]
    row, left, longest = 32, _MARGIN + 520, 380

    def draw(image: Image.Image, top: int) -> None:
        pen = ImageDraw.Draw(image)
        title = f"{number + 1}  {one_line(drawing.heading(trace, number))}"
        facts = "  ·  ".join(drawing.decision_facts(decision, scale))
        room = WIDTH - 2 * _MARGIN - text_width(facts, _SMALL) - 30
        title = shortened(title, _BODY, room)
        draw_text(image, (_MARGIN, top + 20), title, _BODY, _INK)
        at = WIDTH - _MARGIN - text_width(facts, _SMALL)
        draw_text(image, (at, top + 20), facts, _SMALL, _MUTED)
        pen.line((_MARGIN, top + 32, WIDTH - _MARGIN, top + 32), _RULE)
        for i, option in enumerate(kept):
            y = top + 40 + i * row
            chosen = option.action == decision.chosen
            name = shortened(one_line(drawing.option_name(option)), _SMALL + 1, 500)
            ink = _INK if option.legal else _MUTED
            draw_text(image, (_MARGIN, y + 20), name, _SMALL + 1, ink)
            pen.rounded_rectangle((left, y + 7, left + longest, y + 22), 4, _TRACK)
            share = scale.share(option.score) if option.legal else 0.0
            if share:
                end = left + max(round(longest * share), 2)
                pen.rounded_rectangle((left, y + 7, end, y + 22), 4, _BAR if chosen else _GREY)
            text = scale.text(option.score) if option.legal else "masked"
            text += "  ✓" if chosen else ""
            text += "  ★" if option.right else ""
            draw_text(image, (left + longest + 14, y + 20), text, _SMALL + 1, _INK)

    return _Block(40 + row * len(kept), draw)


def _passage(trace: Trace, scale: drawing.Scale) -> _Block:
    """The words of a passage with bars above those that were pointed at."""
    spots = drawing.spots(trace, scale)
    pieces = [Piece(one_line(spot.word) or " ", "plain") for spot in spots]
    column = Column(pieces, _BODY, WIDTH - 2 * _MARGIN)
    rows, pole = column.rows, 34
    height = column.row_height + pole

    def draw(image: Image.Image, top: int) -> None:
        pen = ImageDraw.Draw(image)
        for i, row in enumerate(rows):
            baseline = top + i * height + pole + _BODY
            for unit, x, width in row.placed:
                spot = spots[unit.piece]
                draw_text(image, (_MARGIN + x, baseline), unit.text, _BODY, _INK)
                if spot.inside:
                    line = (_MARGIN + x, baseline + 7, _MARGIN + x + width, baseline + 7)
                    pen.line(line, _ACCENT, 3)
                for number, share in spot.poles:
                    left = _MARGIN + x + number * 11
                    peak = baseline - _BODY - round(share * pole)
                    fill = _BAR if number == 0 else None
                    box = (left, peak, left + 8, baseline - _BODY)
                    pen.rectangle(box, fill, _BAR if number == 0 else _SECOND)

    return _Block(height * len(rows), draw)


def _walk(trace: Trace, scale: drawing.Scale) -> _Block:
    """A graph walk, hop by hop from left to right; the edges that were taken in the top row."""
    found = drawing.walk_of(trace, scale)
    hops = max(len(found.starts) - 1, 1)
    step = (WIDTH - 2 * _MARGIN) / (hops + 0.62)
    box, row = round(step * 0.62), 66

    def draw(image: Image.Image, top: int) -> None:
        pen = ImageDraw.Draw(image)
        for leaf in sorted(found.leaves, key=lambda leaf: leaf.taken):
            x, y = round(_MARGIN + leaf.hop * step + box), top + 24
            end, low = round(_MARGIN + (leaf.hop + 1) * step), top + 24 + leaf.row * row
            ink = _BAR if leaf.taken else _GREY
            pen.line((x, y, end, low), ink, 1 + round(7 * leaf.share))
        start = (_MARGIN, top)
        _node(image, start, box, "", one_line(found.starts[0]) if found.starts else "", _ACCENT)
        for leaf in found.leaves:
            at = (round(_MARGIN + (leaf.hop + 1) * step), top + leaf.row * row)
            edge = _GOLD if leaf.option.right else _ACCENT if leaf.taken else _RULE
            kind = one_line(leaf.option.name) if leaf.option.target else ""
            name = one_line(leaf.option.target or leaf.option.name)
            name += " ★" if leaf.option.right else ""
            _node(image, at, box, kind, name, edge)
            weight = scale.text(leaf.option.score)
            place = (at[0] - text_width(weight, 13) - 8, at[1] + 20)
            draw_text(image, place, weight, 13, _MUTED)

    return _Block(row * found.rows, draw)


def _node(
    image: Image.Image, at: tuple[int, int], width: int, kind: str, name: str, edge: str
) -> None:
    x, y = at
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((x, y, x + width, y + 48), 8, "white", edge, 1 if edge == _RULE else 3)
    for text, size, baseline, ink in (
        (kind, 13, y + 19, _MUTED),
        (name, _SMALL + 1, y + (39 if kind else 31), _INK),
    ):
        text = shortened(text, size, width - 16)
        draw_text(image, (x + (width - text_width(text, size)) / 2, baseline), text, size, ink)


def _tokens(trace: Trace, scale: drawing.Scale) -> _Block:
    """Each token that was written, with what else could have been."""
    decisions = trace.decisions[:_MOST_ROWS]
    row = 30

    def draw(image: Image.Image, top: int) -> None:
        pen = ImageDraw.Draw(image)
        for i, decision in enumerate(decisions):
            y = top + i * row
            draw_text(image, (_MARGIN, y + 20), str(i + 1), _SMALL, _MUTED)
            name = shortened(one_line(decision.choice.name), _BODY, 220)
            draw_text(image, (_MARGIN + 50, y + 20), name, _BODY, _INK)
            cell = drawing.Cell(
                decision.choice,
                scale.level(decision.choice.score),
                scale.short(decision.choice.score),
            )
            _draw_cell(image, pen, cell, (_MARGIN + 290, y, 70, row - 3))
            rest = [o for o in decision.options if o.legal and o.action != decision.chosen][:5]
            text = "    ".join(f"{one_line(o.name)} {scale.text(o.score)}" for o in rest)
            text = shortened(text, _SMALL, WIDTH - 2 * _MARGIN - 390)
            draw_text(image, (_MARGIN + 390, y + 20), text, _SMALL, _MUTED)

    return _Block(row * len(decisions), draw)
