"""Tag schemes against tables, and round trips."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_gym.data.tags.iob2 import to_iob2
from nlp_gym.data.tags.schemes import SCHEMES, canonical_scheme, inventory, split_tag
from nlp_gym.errors import UnknownNameError

# The same text in four schemes: IOB2, IOB1, BIOES, BILOU.
TABLE = [
    ("O", "O", "O", "O"),
    ("B-X", "I-X", "S-X", "U-X"),
    ("B-X I-X", "I-X I-X", "B-X E-X", "B-X L-X"),
    ("B-X I-X I-X", "I-X I-X I-X", "B-X I-X E-X", "B-X I-X L-X"),
    ("B-X B-X", "I-X B-X", "S-X S-X", "U-X U-X"),
    ("B-X I-X B-X O", "I-X I-X B-X O", "B-X E-X S-X O", "B-X L-X U-X O"),
    ("B-X B-Y", "I-X I-Y", "S-X S-Y", "U-X U-Y"),
    ("O B-X O B-X", "O I-X O I-X", "O S-X O S-X", "O U-X O U-X"),
    ("B-a-b I-a-b", "I-a-b I-a-b", "B-a-b E-a-b", "B-a-b L-a-b"),
]
NAMES = ("iob2", "iob1", "bioes", "bilou")


@pytest.mark.parametrize("column", range(4), ids=NAMES)
@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_schemes_table(row: tuple[str, ...], column: int) -> None:
    found = to_iob2([row[column].split()], NAMES[column])
    assert found.tags == [row[0].split()]
    assert not found.wrong
    assert not found.unknown


@pytest.mark.parametrize("column", range(4), ids=NAMES)
def test_schemes_auto_detects_each_scheme(column: int) -> None:
    found = to_iob2([row[column].split() for row in TABLE])
    assert found.scheme == NAMES[column]
    assert found.tags == [row[0].split() for row in TABLE]
    assert not found.wrong


def test_schemes_bmes_is_read_as_bioes() -> None:
    found = to_iob2([["B-X", "M-X", "E-X", "O", "S-Y"]])
    assert (found.scheme, found.tags) == ("bioes", [["B-X", "I-X", "I-X", "O", "B-Y"]])
    assert not found.wrong


def test_schemes_plain_labels_are_left_alone() -> None:
    found = to_iob2([["NN", "O", "-LRB-", "B"]])
    assert (found.scheme, found.tags) == ("none", [["NN", "O", "-LRB-", "B"]])


def test_schemes_texts_do_not_run_into_each_other() -> None:
    assert to_iob2([["I-X"], ["I-X"]]).tags == [["B-X"], ["B-X"]]
    assert to_iob2([["B-X"], ["E-X"]], "bioes").tags == [["B-X"], ["B-X"]]


@pytest.mark.parametrize(
    ("tags", "scheme", "places", "iob2"),
    [
        ("B-X O I-X", "auto", [2], "B-X O B-X"),
        ("B-X I-Y", "iob2", [1], "B-X B-Y"),
        ("O B-X", "iob1", [1], "O B-X"),
        ("O E-X", "auto", [1], "O B-X"),
        ("B-X O S-X", "auto", [0], "B-X O B-X"),
        ("S-Y B-X", "auto", [1], "B-Y B-X"),
        ("B-X E-Y", "bioes", [0], "B-X B-Y"),
        ("U-Y B-X B-X L-X", "bilou", [1], "B-Y B-X B-X I-X"),
    ],
)
def test_schemes_mistakes_are_placed_and_repaired(
    tags: str, scheme: str, places: list[int], iob2: str
) -> None:
    found = to_iob2([["O"], tags.split()], scheme)
    assert [(text, at) for text, at, _ in found.wrong] == [(1, at) for at in places]
    assert found.tags[1] == iob2.split()


def test_schemes_labels_outside_the_scheme_are_placed() -> None:
    found = to_iob2([["B-X", "NN", "I-X", "o"]])
    assert [(text, at) for text, at, _ in found.unknown] == [(0, 1), (0, 3)]
    assert "'NN'" in found.unknown[0][2]
    assert [at for _, at, _ in to_iob2([["S-X"]], "iob2").unknown] == [0]


def test_schemes_unknown_name_has_the_nearest() -> None:
    assert canonical_scheme("IOBES") == "bioes"
    with pytest.raises(UnknownNameError, match="'bioes'"):
        canonical_scheme("bioe")


def test_schemes_inventory_order() -> None:
    assert inventory(["I-b", "O", "B-a"]) == ("O", "B-a", "I-a", "B-b", "I-b")
    assert inventory(["B-creative-work"]) == ("O", "B-creative-work", "I-creative-work")
    assert inventory(["VERB", "ADJ"]) == ("ADJ", "VERB")


def spans(tags: list[str]) -> list[tuple[int, int, str]]:
    """Entities of IOB2 tags, by the definition."""
    found: list[tuple[int, int, str]] = []
    for at, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((at, at + 1, tag[2:]))
        elif tag.startswith("I-"):
            first, _, kind = found.pop()
            assert kind == tag[2:]
            found.append((first, at + 1, kind))
    return found


def write(entities: list[tuple[int, str]], scheme: str) -> list[str]:
    """Tags of entities side by side: (length, type), type "" for words outside."""
    tags: list[str] = []
    before = ""
    for length, kind in entities:
        if not kind:
            tags += ["O"] * length
        elif scheme == "iob2":
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
        elif scheme == "iob1":
            first = "B" if before == kind else "I"
            tags += [f"{first}-{kind}"] + [f"I-{kind}"] * (length - 1)
        else:
            last, one = ("E", "S") if scheme == "bioes" else ("L", "U")
            middle = [f"B-{kind}", *[f"I-{kind}"] * (length - 2), f"{last}-{kind}"]
            tags += [f"{one}-{kind}"] if length == 1 else middle
        before = kind
    return tags


entities = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "X", "Y-Z"])), min_size=1)


@settings(max_examples=60, deadline=None)
@given(entities, st.sampled_from(NAMES))
def test_schemes_round_trip(text: list[tuple[int, str]], scheme: str) -> None:
    found = to_iob2([write(text, scheme)], scheme)
    assert found.tags == [write(text, "iob2")]
    assert not found.wrong
    at, expected = 0, []
    for length, kind in text:
        if kind:
            expected.append((at, at + length, kind))
        at += length
    assert spans(found.tags[0]) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["O", "B-X", "I-X", "E-X", "S-Y", "L-Y", "U-X", "", "NN"]))),
    st.sampled_from(SCHEMES),
)
def test_schemes_any_tags_give_legal_iob2(texts: list[list[str]], scheme: str) -> None:
    found = to_iob2(texts, scheme)
    assert list(map(len, found.tags)) == list(map(len, texts))
    if found.scheme != "none":
        for tags in found.tags:
            assert all(split_tag(tag) is not None for tag in tags)
            spans(tags)  # asserts that each I- continues its type
