"""Every small input that once went wrong, by the number it was filed under, with what is right.

The files lie beside the checkout, as the real corpora do; the kinds they stand for are tested with
content of their own in the other tests of `data`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from nlp_gym.data import guess_file, read
from nlp_gym.errors import DataError
from tests.conftest import ROOT

FOLDER = ROOT.parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no cases: the folder {FOLDER.name} beside the checkout is missing"
)
BIO = ("O", "B-PER", "I-PER", "O", "B-LOC")
WEATHER = [("bad",), ("good",), ("bad",)]

READ: tuple[tuple[str, str, int, Any, dict[str, Any]], ...] = (
    # file, family, number of samples, gold of the first ones, options
    ("01_quote_word.tsv", "tagging", 3, [("O", "O", "O", "B-LOC", "O", "O")], {}),
    ("02_quote_class.tsv", "classification", 6, [("good",), ("bad",), ("good",), ("bad",)], {}),
    ("04_lonecr.en", "generation", 5, [("Ein Haus.",), ("Zwei Hunde rennen.",)], {"pair": "en-de"}),
    ("05_untyped_bio.conll", "tagging", 12, [("O", "B-ENT", "I-ENT", "O", "B-ENT")], {}),
    ("06_underscore.conll", "tagging", 12, [BIO], {}),
    ("07_lower.conll", "tagging", 12, [("O", "B-per", "I-per", "O", "B-loc")], {}),
    ("08_suffix.conll", "tagging", 12, [BIO], {}),
    ("09_pandas_list.csv", "multilabel", 4, [("calm", "joy"), ("sad",), ("fear", "sad"), ()], {}),
    ("10_utf16_offsets.jsonl", "tagging", 2, [("O", "O", "O", "B-LOC", "I-LOC")], {}),
    ("11_prodigy.jsonl", "tagging", 1, [("B-PER", "O", "B-LOC", "O")], {}),
    ("11b_doccano.jsonl", "tagging", 1, [("B-PER", "O", "B-LOC", "O")], {}),
    ("11c_doccano_rel.jsonl", "tagging", 1, [("B-PER", "O", "O", "O")], {}),
    ("11d_labelstudio.json", "tagging", 1, [("B-PER", "O", "O", "O")], {}),
    ("11e_spacy.jsonl", "tagging", 1, [("B-PER", "O", "B-LOC", "O")], {}),
    ("12_space_span.jsonl", "tagging", 1, [("B-PER", "O", "B-LOC")], {}),
    ("13_readme_multilabel.csv", "multilabel", 4, [("calm", "joy"), ("sad",)], {}),
    ("14_excel_sep.csv", "classification", 2, [("good",), ("bad",)], {}),
    ("14b_excel_semicolon.csv", "classification", 3, [("good",), ("bad",), ("good",)], {}),
    ("14d_double_bom.csv", "classification", 3, WEATHER, {}),
    ("14e_trailing_commas.csv", "classification", 3, WEATHER, {}),
    ("14f_index_col.csv", "classification", 3, WEATHER, {}),
    ("14g_nbsp_header.csv", "classification", 3, WEATHER, {}),
    ("14h_float_labels.csv", "classification", 3, [("0.0",), ("1.0",), ("0.0",)], {}),
    ("14n_quoted_header.csv", "classification", 3, WEATHER, {}),
    ("15_bom_label_first.txt", "classification", 5, [("good",), ("bad",), ("good",)], {}),
    ("15b_bom_triples.tsv", "kg", 5, None, {}),
    ("15c_bom_pairs.tsv", "generation", 4, [("Guten Tag.",), ("Ja.",), ("Nein.",)], {}),
    ("16_hindi_summary.jsonl", "summary", 4, None, {}),
    ("17_type_ends_hyphen.conll", "tagging", 12, [("O", "B-A-", "B-A", "O")], {}),
    ("19_long_cell.csv", "summary", 3, [("A flood.",)], {}),
    ("21_conllx.conll", "tagging", 30, [("NOUN",) * 4], {}),
    ("22_index_column.tsv", "tagging", 12, [("B-PER", "I-PER", "O")], {}),
    ("22b_germeval14.tsv", "tagging", 12, [("B-PER", "I-PER", "O")], {}),
    ("24_cp1252.csv", "classification", 3, WEATHER[:2], {"encoding": "cp1252"}),
    ("25_plain.conll.gz", "tagging", 1, None, {}),
    ("27_fasttext_multi.txt", "multilabel", 5, [("cheese", "sauce"), ("oven",)], {}),
    ("29_id_surrogate.jsonl", "tagging", 3, None, {}),
    ("30_spert.json", "relation", 1, [("Live_In", "NONE")], {}),
    ("30b_spert.jsonl", "relation", 1, [("Live_In", "NONE")], {}),
    ("31_semeval.semeval", "relation", 5, [("Component-Whole(e2,e1)",), ("Other",)], {}),
    ("33_odd_generation.jsonl", "generation", 60, None, {}),
    ("34_control_in_reference.tsv", "generation", 12, None, {}),
    ("35_conllu.conllu", "tagging", 3, [("NUM", "NOUN", "ADP", "DET", "SYM", "X")], {}),
    ("36_hf_squad2.jsonl", "spanqa", 1, [(("1850", 2, 2),)], {}),
    ("39_minus_one.jsonl", "classification", 2, [("0",), ("1",)], {}),
    ("42_multiconer_space.conll", "tagging", 2, [("B-PER", "I-PER", "O"), ("B-PER",)], {}),
    ("42b_multiconer_tab.conll", "tagging", 2, [("B-PER", "I-PER", "O"), ("O", "O")], {}),
    ("44_na.csv", "classification", 4, [("NA",), ("NO",), ("None",), ("FR",)], {}),
    (
        "46_hash_labels.csv", "multilabel", 3, [("calm", "joy"), ("sad",), ("joy",)],
        {"label_separator": "#"},
    ),
)  # fmt: skip

REFUSED = (
    ("11f_hf_ints.jsonl", "tagging", "nothing says their names"),
    ("14c_utf16.csv", "classification", 'encoding="utf-16"'),
    ("14i_nan_label.csv", "classification", "is empty"),
    ("14k_nul.csv", "classification", "NUL byte"),
    ("14l_dup_header.csv", "classification", "2 times"),
    ("14o_mac_cr.csv", "classification", "old Macs"),
    ("14p_backslash_quote.csv", "classification", "doubled"),
    ("24_cp1252.csv", "classification", 'encoding="cp1252"'),
    ("28_choices.jsonl", "choice", "give an index"),
    ("28b_letters.csv", "choice", "is empty"),
    ("35b_joined.conllu", "tagging", "is a blank line missing"),
    ("35c_no_upos.conllu", "tagging", "column='xpos'"),
    ("41_space_token.conll", "tagging", "the word is empty"),
    ("43_broken_rows.conll", "tagging", r"column\(s\) where the file has"),
    ("45_empty_ref.jsonl", "generation", "'target' is empty"),
)


@pytest.mark.parametrize(
    ("name", "family", "n", "gold", "options"), READ, ids=lambda x: str(x)[:20]
)
def test_case_is_read(name: str, family: str, n: int, gold: Any, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        samples = read(FOLDER / name, family=family, **options)
    assert len(samples) == n
    for sample, wanted in zip(samples, gold or (), strict=False):
        found = sample.gold if sample.labels is None else sample.labels
        assert found[: len(wanted)] == wanted


@pytest.mark.parametrize(("name", "family", "match"), REFUSED, ids=lambda x: str(x)[:20])
def test_case_is_refused(name: str, family: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read(FOLDER / name, family=family)


@pytest.mark.parametrize("name", ["40_one_line.json", "26_predict.txt", "46_hash_labels.csv"])
def test_case_is_asked_about(name: str) -> None:
    with pytest.raises(DataError, match="--family"):
        guess_file(Path(FOLDER / name))
