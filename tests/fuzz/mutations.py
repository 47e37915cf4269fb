"""Valid files of every reader, and changes of bytes, of lines and of JSON values that break them.

The valid ones are the bundled samples, and small files written here for formats that no corpus has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from nlp_gym.data import DATASETS, READERS
from nlp_gym.data.readers import Options

VALID = {
    ("tagging", "jsonl"): (
        '{"words": ["Ana", "left"], "labels": ["B-PER", "O"]}\n'
        '{"text": "In 北京 now", "entities": [{"start": 3, "end": 5, "label": "LOC"}]}\n'
    ),
    ("tagging", "csv"): 'sentence,word,label\n1,Ana,B-PER\n1,"left, then",O\n2,好,O\n',
    ("tagging", "label-studio"): (
        '[{"id": 1, "data": {"text": "Ana left."}, "annotations": [{"was_cancelled": false, '
        '"result": [{"from_name": "ner", "to_name": "text", "type": "labels", '
        '"value": {"start": 0, "end": 3, "text": "Ana", "labels": ["PER"]}}]}]},\n'
        '{"id": 2, "text": "In 北京", "ner": [{"start": 3, "end": 5, "text": "北京", '
        '"labels": ["LOC"]}], "annotator": 1}]\n'
    ),
    ("tagging", "doccano"): (
        '{"id": 1, "text": "Ana left.", "label": [[0, 3, "PER"]]}\n{"id": 2, "text": "In 北京", '
        '"entities": [{"id": 5, "label": "LOC", "start_offset": 3, "end_offset": 5}], '
        '"relations": []}\n'
    ),
    ("tagging", "prodigy"): (
        '{"text": "Ana left", "tokens": [{"text": "Ana", "start": 0, "end": 3, "id": 0}, '
        '{"text": "left", "start": 4, "end": 8, "id": 1}], "spans": [{"start": 0, "end": 3, '
        '"token_start": 0, "token_end": 0, "label": "PER"}], "answer": "accept"}\n'
        '{"text": "Bo ran", "answer": "reject"}\n{"text": "In 北京", "spans": []}\n'
    ),
    ("tagging", "spacy"): (
        '["Ana left.", {"entities": [[0, 3, "PER"]]}]\n'
        '["In 北京 now", {"entities": [[3, 5, "LOC"]]}]\n'
    ),
    ("tagging", "huggingface"): (
        '{"id": "0", "tokens": ["Ana", "left"], "ner_tags": [1, 0]}\n'
        '{"id": "1", "tokens": ["好"], "ner_tags": [0]}\n'
    ),
    ("tagging", "spert"): (
        '[{"tokens": ["Ana", "in", "Oslo"], "entities": [{"type": "Peop", "start": 0, "end": 1}, '
        '{"type": "Loc", "start": 2, "end": 3}], "relations": [{"type": "Live_In", "head": 0, '
        '"tail": 1}], "orig_id": 7}]\n'
    ),
    ("tagging", "brat"): (
        "T1\tPER 0 3\tAna\nT2\tLOC 13 16;17 21\tNew York\nR1\tIn Arg1:T1 Arg2:T2\n"
    ),
    ("tagging", "text"): "Ana left.\n\n北京 is far.\n",
    ("classification", "jsonl"): (
        '{"text": "A warm day", "label": "good"}\n{"words": ["so", "cold"], "label": "bad"}\n'
    ),
    ("classification", "label-first"): "good A warm day\nbad So cold\n",
    ("classification", "fasttext"): "__label__good A warm day\n__label__bad So cold\n",
    ("classification", "text"): "A warm day\nSo cold\n",
    ("multilabel", "jsonl"): (
        '{"text": "A warm day", "labels": ["joy", "calm"]}\n{"text": "So", "labels": []}\n'
    ),
    ("multilabel", "csv"): 'text,labels\n"A warm, long\nday",joy;calm\nSo cold,\n',
    ("multilabel", "fasttext"): "__label__joy __label__calm A warm day\nSo cold __label__bad\n",
    ("multilabel", "text"): "A warm day\nSo cold\n",
    ("relation", "jsonl"): (
        '{"text": "Ana runs Bolt in Oslo.", "entities": [[0, 3, "Peop"], [9, 13, "Org"]], '
        '"relations": [{"head": [0, 3], "tail": [9, 13], "label": "Work_For"}]}\n'
        '{"words": ["Li", "from", "Rome"], "relations": [{"head": [0, 1], "tail": [2, 3], '
        '"label": "Live_In"}]}\n'
    ),
    ("relation", "spert"): (
        '[{"tokens": ["Ana", "left", "Rome"], "entities": [{"type": "Peop", "start": 0, "end": 1}, '
        '{"type": "Loc", "start": 2, "end": 3}], "relations": [{"type": "Left", "head": 0, '
        '"tail": 1}], "orig_id": 3}]\n'
    ),
    ("relation", "doccano"): (
        '{"id": 1, "text": "Ana left 北京", "entities": [{"id": 4, "label": "Peop", '
        '"start_offset": 0, "end_offset": 3}, {"id": 5, "label": "Loc", "start_offset": 9, '
        '"end_offset": 11}], "relations": [{"from_id": 4, "to_id": 5, "type": "Left"}]}\n'
    ),
    ("relation", "prodigy"): (
        '{"text": "Ana left Rome", "spans": [{"start": 0, "end": 3, "label": "Peop"}], '
        '"relations": [{"head_span": {"start": 0, "end": 3, "label": "Peop"}, "child_span": '
        '{"start": 9, "end": 13, "label": "Loc"}, "label": "Left"}], "answer": "accept"}\n'
    ),
    ("spanqa", "jsonl"): (
        '{"context": "The mill was built in 1850.", "question": "When?", "id": "a", '
        '"answers": [{"text": "1850", "answer_start": 22}]}\n'
        '{"context": "Ana swims.", "question": "Who swims?", "answers": ["Ana"]}\n'
    ),
    ("choice", "csv"): (
        "question,choice1,choice2,choice3,answer\nWhat is hot?,ice,fire,,2\n"
        '"What is, then, cold?",ice,fire,sand,ice\n'
    ),
    ("dialogue", "jsonl"): (
        '{"context": ["Hi!", "Hello."], "candidates": ["How are you?", "42", "No."], "answer": 0}\n'
        '{"context": ["Where to?"], "positive_responses": ["Home."], '
        '"negative_responses": ["Seven.", "Blue."]}\n'
    ),
    ("policy", "jsonl"): (
        '{"turns": [{"user": "A table, please.", "acts": ["REQUEST"]}, '
        '{"user": "For two.", "acts": ["CONFIRM", "OFFER"]}]}\n'
    ),
    ("goals", "jsonl"): (
        '{"tasks": [{"service": "Tea_1", "intent": "FindTea", "inform": {"city": "成都"}}]}\n'
        '{"tasks": [{"service": "Tea_1", "intent": "FindTea", "inform": {"city": "Oslo", '
        '"tea": ["green", "black"]}, "request": ["phone"], "reject": 1}]}\n'
    ),
    ("summary", "jsonl"): (
        '{"document": "It rained. The river rose. We left.", "summary": "A flood."}\n'
        '{"document": ["It was dry.", "We stayed."], "summary": ["No rain.", "Dry."]}\n'
    ),
    ("summary", "csv"): 'document,summary\n"It rained. The river\nrose.",A flood.\n好。,好\n',
    ("parsing", "jsonl"): (
        '{"words": ["Birds", "fly"], "heads": [2, 0], "relations": ["nsubj", "root"]}\n'
    ),
    ("kg", "csv"): "head,relation,tail\nOslo,capital of,Norway\nNorway,part of,Europe\n",
    ("generation", "csv"): 'source,target\n"A warm,\nlong day",Ein Tag\n好。,Gut.\n',
    ("generation", "pairs"): "Hi.\t嗨。\tby someone\nA day.\tEin Tag.\n\nNo.\tNein.\n",
    ("generation", "text"): "A warm day\n北京 is far.\n",
    ("parsing", "text"): "Ana left.\n\n北京 is far.\n",
    ("kg", "jsonl"): '{"head": "Oslo", "relation": "capital of", "tail": "Norway"}\n' * 2,
}

BESIDE = {
    ("tagging", "huggingface"): {"labels.txt": "O\nB-PER\n"},
    ("goals", "jsonl"): {
        "schema.json": '[{"service_name": "Tea_1", "slots": [{"name": "city"}, {"name": "tea"}, '
        '{"name": "phone"}], "intents": [{"name": "FindTea", "is_transactional": false, '
        '"required_slots": ["city"], "optional_slots": {"tea": "dontcare"}}]}]',
        "table.json": '{"Tea_1": [{"city": "Oslo", "tea": "black", "phone": "1"}]}',
    },
    ("tagging", "brat"): {"file.txt": "Ana left.\nIn New\nYork 北京\n"},
}
"""Files that the formats written here need beside them."""

ROWS = [(family, name) for family, readers in READERS.items() for name in readers]
NO_GOLD = {"text"}  # formats for prediction alone

BYTES = [
    *(b"\xff", b"\xed\xa0\x80", b"\0", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\t", b" ", b'"'),
    *(b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud83d", b"\\u0000", b"NaN", b"-Infinity"),
    *(b"1e999", b"-1", b"9" * 30, b"9" * 5000, b"null", b"true", b'""', b"[" * 3000, b"<e1>"),
    *(b"\xe2\x80\x8b", "北京🙂".encode(), b"\xc2\x85", b"\xe2\x80\xa8", b"#doc", b"['N']"),
]
DEEP = [[[[[[[[]]]]]]]]
VALUES: list[Any] = [
    *(None, True, 0, -1, 3, 10**9, 10**4000, -(10**30), 0.5, 1e308, float("nan"), float("inf")),
    *("", " ", "x", "\ud83d", "\0", "\u200b", "北京", [], {}, [[]], [None], [1], ["x"], DEEP),
    *({"text": 1}, {"": None}, [0, 0], [5, 1], [-1, 99], ["x", 1], [["x"]]),
]


def valid_file(family: str, name: str) -> Path | tuple[str, str]:
    """The bundled sample of a format, or (file name, content) of a file written here."""
    if (family, name) in VALID:
        ending = (READERS[family][name].extensions or (".txt",))[0]
        return f"file{ending}", VALID[family, name]
    row = next(d for d in DATASETS.values() if (d.family, d.format) == (family, name))
    split = "dev" if row.sample_file("dev").is_file() else "test"
    return row.sample_file(split)


def put_valid(family: str, name: str, folder: Path) -> list[Path]:
    """Write the valid file and those that its reader looks up beside it; give their paths."""
    found = valid_file(family, name)
    if not isinstance(found, Path):
        files = {found[0]: found[1], **BESIDE.get((family, name), {})}
        for file, content in files.items():
            (folder / file).write_text(content, encoding="utf-8")
        return [folder / file for file in files]
    companions = READERS[family][name].companions
    names = companions(found.name, Options()) if companions else ()
    others = [found.parent / name for name in names]
    for path in (there := [found, *(o for o in others if o.is_file())]):
        (folder / path.name).write_bytes(path.read_bytes())
    return [folder / path.name for path in there]


def break_bytes(draw: Any, data: bytes) -> bytes:
    first = draw(st.integers(0, len(data)))
    last = min(len(data), first + draw(st.integers(0, 40)))
    how = draw(st.sampled_from(["insert", "cut", "delete", "double", "end"]))
    if how == "insert":
        return data[:first] + draw(st.sampled_from(BYTES)) + data[first:]
    if how == "end":
        return data + draw(st.sampled_from(BYTES))
    parts = {
        "cut": data[:first],
        "delete": data[:first] + data[last:],
        "double": data[:last] + data[first:],
    }
    return parts[how]


def break_lines(draw: Any, data: bytes) -> bytes:
    lines = data.split(b"\n")
    i, j = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    how = draw(st.sampled_from(["swap", "delete", "double", "junk", "cells", "join", "crlf"]))
    if how == "swap":
        lines[i], lines[j] = lines[j], lines[i]
    elif how == "delete":
        del lines[i]
    elif how == "double":
        lines.insert(j, lines[i])
    elif how == "junk":
        lines[i] = b"".join(draw(st.lists(st.sampled_from(BYTES), max_size=4)))
    elif how == "cells":
        mark = draw(st.sampled_from([b"\t", b",", b" "]))
        cells = lines[i].split(mark)
        lines[i] = mark.join(draw(st.permutations(cells))[: draw(st.integers(0, len(cells)))])
    elif how == "join":
        lines[i : i + 2] = [b"".join(lines[i : i + 2])]
    else:
        return b"\r\n".join(lines)
    return b"\n".join(lines)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value inside of a JSON value."""
    yield path
    items = dict(enumerate(value)) if isinstance(value, list) else value
    for key, item in items.items() if isinstance(items, dict) else ():
        yield from places(item, (*path, key))


def break_json(draw: Any, data: bytes) -> bytes:
    """Change one value of a JSON file; anything else is left as it is."""
    text = data.decode("utf-8", "replace")
    lines = text.split("\n") if text.count("\n{") else [text]
    at = draw(st.integers(0, len(lines) - 1))
    try:
        holder = [json.loads(lines[at])]
    except (ValueError, RecursionError):
        return break_bytes(draw, data)
    path = draw(st.sampled_from(list(places(holder[0]))))
    parent: Any = holder
    for key in (0, *path)[:-1]:
        parent = parent[key]
    last = (0, *path)[-1]
    how = draw(st.sampled_from(["value", "delete", "deep", "key", "double"]))
    if how == "delete" and path:
        del parent[last]
    elif how == "deep":
        for _ in range(draw(st.sampled_from([1, 50]))):
            parent[last] = [parent[last]]
    elif how == "key" and isinstance(parent, dict):
        parent[draw(st.sampled_from(["", "label", "text", "x" * 300, "\ud83d"]))] = parent.pop(last)
    elif how == "double" and isinstance(parent, list):
        parent.append(parent[last])
    else:
        parent[last] = draw(st.sampled_from(VALUES))
    lines[at] = json.dumps(holder[0])
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def break_file(draw: Any, data: bytes) -> bytes:
    for _ in range(draw(st.integers(1, 3))):
        is_json = data.lstrip()[:1] in (b"{", b"[")
        hows = [break_bytes, break_lines, *([break_json] * 3 if is_json else [])]
        data = draw(st.sampled_from(hows))(draw, data)
    return data
