"""Span question answering."""

from __future__ import annotations

from nlp_gym.data.catalog.rows import RAW, SAMPLES, Dataset, RemoteFile

_XQUAD = f"{RAW}/deepmind/xquad/60cac411649156efb6aab9dd4c9cde787a2c0345"
_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset"

ROWS: tuple[Dataset, ...] = (
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
