"""Corpora of questions whose answers are spans of a passage, or one of several choices."""

from __future__ import annotations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile

_XQUAD = f"{RAW}/deepmind/xquad/60cac411649156efb6aab9dd4c9cde787a2c0345"
_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset"

_SPAN_ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="squad",
        description="SQuAD 1.1: questions on Wikipedia passages; 7,228 of train, 1,190 of dev",
        licence="CC BY-SA 4.0",
        homepage="https://rajpurkar.github.io/SQuAD-explorer/",
        family="spanqa",
        format="squad",
        labels=(),
        # As is usual for SQuAD, whose test set is not public: the published dev file is test, and
        # dev is cut from train, a tenth of its passages.
        files={
            "train": RemoteFile(
                "train-subset-v1.1.json",
                None,
                "48c56146b81db991ba53d07d97d9c33bba5875225401fcf15881967ce66c7623",
                4_731_214,
            ),
            "test": RemoteFile(
                "dev-subset-v1.1.json",
                f"{_XQUAD}/xquad.en.json",
                "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
                609_383,
            ),
        },
        official={
            "train": RemoteFile(
                "train-v1.1.json",
                f"{_SQUAD}/train-v1.1.json",
                "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
                30_288_272,
            ),
            "test": RemoteFile(
                "dev-v1.1.json",
                f"{_SQUAD}/dev-v1.1.json",
                "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
                4_854_279,
            ),
        },
        sample=SAMPLES / "squad",
    ),
)

_ARISTO = f"{RAW}/allenai/aristo-leaderboard/60d5be31b5a7d36f29d13223ece29a8d2bfa8b5f"


def _official(*splits: str) -> dict[str, RemoteFile]:
    """Files that users get from the authors themselves: no bytes are pinned."""
    return {split: RemoteFile(f"official.{split}.jsonl", None, None, 0) for split in splits}


_CHOICE_ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="openbookqa",
        description="OpenBookQA: elementary science, 4 choices (without the book of facts)",
        licence="not stated by its authors; research use",
        homepage="https://allenai.org/data/open-book-qa",
        format="jsonl",
        labels=(),
        files={
            "train": RemoteFile(
                "train.jsonl",
                None,
                "4174d3cc55b0d18f87014149ada80e7a3d0ef9001b9776e7856aaf39e40b29c6",
                1_585_927,
            ),
            "test": RemoteFile(
                "test.jsonl",
                None,
                "9047e3d0fb06c7dbf3333d3abd714d6601e8383627de3b2116c5523c93d782b6",
                161_543,
            ),
        },
        sample=SAMPLES / "openbookqa",
        family="choice",
        official=_official("train", "dev", "test"),
        obtain=(
            "Get OpenBookQA-V1-Sep2018 from the homepage and put Data/Main/train.jsonl, dev.jsonl "
            "and test.jsonl here as official.train.jsonl, official.dev.jsonl, official.test.jsonl."
        ),
    ),
    Dataset(
        name="arc_easy",
        description="ARC-Easy: grade-school science exams, 3 to 5 choices",
        licence="CC BY-SA 4.0",
        homepage="https://allenai.org/data/arc",
        format="jsonl",
        labels=(),
        files={
            "train": RemoteFile(
                "train.jsonl",
                None,
                "fda1f9770e8831ae3c4826e05f04c50fe30f9dc7acac5efd8ce45311761865f0",
                905_187,
            ),
            "test": RemoteFile(
                "test.jsonl",
                None,
                "151ae7f07215c91b743532582f4ed66255a0e3b8ff15262ac258e701a37655dd",
                957_323,
            ),
        },
        sample=SAMPLES / "arc_easy",
        family="choice",
        official=_official("train", "dev", "test"),
        obtain=(
            "Get ARC-V1-Feb2018 from the homepage and put ARC-Easy/ARC-Easy-Train.jsonl, -Dev and "
            "-Test here as official.train.jsonl, official.dev.jsonl, official.test.jsonl."
        ),
    ),
    Dataset(
        name="qasc",
        description="QASC: grade-school science, 8 choices; tested on its dev part, trained on "
        "OpenBookQA and ARC-Easy",
        licence="CC BY 4.0",
        homepage="https://allenai.org/data/qasc",
        format="jsonl",
        labels=(),
        files={
            "test": RemoteFile(
                "dev.jsonl",
                f"{_ARISTO}/qasc/data/dev.jsonl",
                "b3c60e18b1ff0aa67b868f9a06921dc7e0c11f211e6601eecf9baee1c1a0df55",
                795_310,
            ),
        },
        sample=SAMPLES / "qasc",
        family="choice",
        official=_official("train"),
        borrow={"train": ("openbookqa", "arc_easy")},
        obtain=(
            "QASC's own training questions, from the homepage, are used where train.jsonl lies "
            "here as official.train.jsonl."
        ),
    ),
)

ROWS: tuple[Dataset, ...] = (*_SPAN_ROWS, *_CHOICE_ROWS)
