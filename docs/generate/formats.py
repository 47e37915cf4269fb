"""The tables of file formats, from the readers, with an example of each format for users' files."""

from __future__ import annotations

from pathlib import Path

from docs.generate.environments import family_title
from docs.generate.markdown import table
from nlp_gym import registration
from nlp_gym.data import READERS
from nlp_gym.registration import EnvRow
from nlp_gym.tasks import task_class

ENDINGS = 4
"""So many are listed; parallel text has one per language."""

EXAMPLES: dict[tuple[str, str], str] = {
    ("tagging", "conll"): "Ana B-PER\nleft O\n\nIt O\nrains O",
    ("tagging", "jsonl"): '{"text": "Ana left.", "entities": [{"start": 0, "end": 3, '
    '"label": "PER"}]}\n{"words": ["Ana", "left"], "labels": ["B-PER", "O"]}',
    ("tagging", "label-studio"): '[{"id": 1, "data": {"text": "Ana left."}, "annotations": '
    '[{"result": [{"from_name": "ner", "value": {"start": 0, "end": 3, "labels": ["PER"]}}]}]}]',
    ("tagging", "doccano"): '{"text": "Ana left.", "label": [[0, 3, "PER"]]}',
    ("tagging", "prodigy"): '{"text": "Ana left.", "spans": [{"start": 0, "end": 3, '
    '"label": "PER"}], "answer": "accept"}',
    ("tagging", "spacy"): '["Ana left.", {"entities": [[0, 3, "PER"]]}]',
    ("tagging", "spert"): '{"tokens": ["Ana", "left"], "entities": [{"type": "PER", "start": 0, '
    '"end": 1}]}',
    ("tagging", "csv"): "sentence,word,label\n1,Ana,B-PER\n1,left,O",
    ("classification", "csv"): 'text,label\n"A warm day, at last",good',
    ("classification", "jsonl"): '{"text": "A warm day", "label": "good"}',
    ("classification", "fasttext"): "__label__good A warm day",
    ("classification", "label-first"): "good A warm day",
    ("multilabel", "csv"): "text,labels\nA warm day,joy;calm",
    ("multilabel", "fasttext"): "__label__joy __label__calm A warm day",
    ("multilabel", "jsonl"): '{"text": "A warm day", "labels": ["joy", "calm"]}',
    ("relation", "jsonl"): '{"text": "Ana runs Bolt.", "relations": [{"head": [0, 3], '
    '"tail": [9, 13], "label": "Work_For"}]}',
    ("relation", "spert"): '[{"tokens": ["Ana", "runs", "Bolt"], "entities": [{"type": "Peop", '
    '"start": 0, "end": 1}, {"type": "Org", "start": 2, "end": 3}], "relations": [{"type": '
    '"Work_For", "head": 0, "tail": 1}]}]',
    ("relation", "doccano"): '{"text": "Ana runs Bolt.", "entities": [{"id": 1, "label": "Peop", '
    '"start_offset": 0, "end_offset": 3}, {"id": 2, "label": "Org", "start_offset": 9, '
    '"end_offset": 13}], "relations": [{"from_id": 1, "to_id": 2, "type": "Work_For"}]}',
    ("relation", "prodigy"): '{"text": "Ana runs Bolt.", "spans": [], "relations": [{"head_span": '
    '{"start": 0, "end": 3, "label": "Peop"}, "child_span": {"start": 9, "end": 13, "label": '
    '"Org"}, "label": "Work_For"}]}',
    ("spanqa", "jsonl"): '{"context": "Built in 1850.", "question": "When?", '
    '"answers": [{"text": "1850", "answer_start": 9}]}',
    ("choice", "csv"): "question,choice1,choice2,answer\nWhat is hot?,ice,fire,2",
    ("choice", "jsonl"): '{"question": "What is hot?", "choices": ["ice", "fire"], "answer": 1}',
    ("dialogue", "jsonl"): '{"context": ["Hi!", "Hello."], '
    '"candidates": ["How are you?", "42"], "answer": 0}',
    ("policy", "jsonl"): '{"turns": [{"user": "A table, please.", "acts": ["REQUEST"]}]}',
    ("goals", "jsonl"): '{"tasks": [{"service": "Tea_1", "intent": "FindTea", "inform": {"city": '
    '"Oslo"}, "request": ["phone"]}], "schema": [{"service_name": "Tea_1", "slots": [{"name": '
    '"city"}, {"name": "phone"}], "intents": [{"name": "FindTea", "is_transactional": false, '
    '"required_slots": ["city"], "optional_slots": {}}]}], "table": {"Tea_1": [{"city": "Oslo", '
    '"phone": "555 0101"}]}}',
    ("summary", "csv"): 'document,summary\n"It rained. The river rose.",A flood.',
    ("summary", "jsonl"): '{"document": "It rained. The river rose.", "summary": "A flood."}',
    ("parsing", "conllu"): "1\tBirds\t_\tNOUN\t_\t_\t2\tnsubj\t_\t_\n"
    "2\tfly\t_\tVERB\t_\t_\t0\troot\t_\t_",
    ("parsing", "jsonl"): '{"words": ["Birds", "fly"], "heads": [2, 0], '
    '"relations": ["nsubj", "root"]}',
    ("kg", "triples"): "Oslo\tcapital of\tNorway",
    ("kg", "csv"): "head,relation,tail\nOslo,capital of,Norway",
    ("kg", "jsonl"): '{"head": "Oslo", "relation": "capital of", "tail": "Norway"}',
    ("generation", "csv"): "source,target\nGood day.,Guten Tag.",
    ("generation", "jsonl"): '{"source": "Good day.", "target": "Guten Tag."}\n'
    '{"source": "Good day.", "target": ["Guten Tag.", "Grüß Gott."]}',
    ("generation", "pairs"): "Good day.\tGuten Tag.",
}
"""By family and format; a test reads each of them. What has none is as its authors publish it."""


def files(pages: Path) -> dict[str, str]:
    """The part that the page of data includes."""
    return {"parts/formats.md": format_tables()}


def format_tables() -> str:
    """A heading and a table per family."""
    rows_of: dict[str, list[EnvRow]] = {}
    for row in registration.env_rows():
        rows_of.setdefault(task_class(row.id).family, []).append(row)
    parts = []
    for family, readers in READERS.items():
        ids = [row.id for row in rows_of[family]]
        links = ", ".join(f"[`{env_id}`](environments/{env_id}.md)" for env_id in ids)
        rows = []
        for reader in readers.values():
            endings = ", ".join(f"`{ending}`" for ending in reader.extensions[:ENDINGS])
            more = ", ..." if len(reader.extensions) > ENDINGS else ""
            example = EXAMPLES.get((family, reader.name), "")
            rows.append(
                (f"`{reader.name}`", endings + more, _prose(reader.description), _shown(example))
            )
        parts += [
            f"### {family_title(family)}",
            f"Family `{family}`: {links}",
            table(("format", "endings", "what it is", "example"), rows),
        ]
    return "\n\n".join(parts) + "\n"


def _prose(about: str) -> str:
    """A reader's line; braces and angle brackets mean themselves."""
    return about.replace("<", "&lt;").replace("{", "&#123;").replace("}", "&#125;")


def _shown(example: str) -> str:
    lines = [line.replace("\t", "<TAB>") for line in example.splitlines()]
    return "<br>".join(f"`{line}`" if line else "" for line in lines)
