"""Relation corpora: one label per pair of entities."""

from __future__ import annotations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile

SEMEVAL_RELATIONS = (
    "Cause-Effect", "Component-Whole", "Content-Container", "Entity-Destination", "Entity-Origin",
    "Instrument-Agency", "Member-Collection", "Message-Topic", "Product-Producer",
)  # fmt: skip
"""The nine relations of SemEval-2010 Task 8; a label adds the direction."""

_SEMEVAL = (
    f"{RAW}/sahitya0000/Relation-Classification/8eebbf2727013aaaa5ecd18b1f4732bd848e1e1c/corpus"
)
_CONLL04 = (
    f"{RAW}/bekou/multihead_joint_entity_relation_extraction"
    "/7f40a0f7c1892821591358518c542139e88f693e/data/CoNLL04"
)

ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="semeval2010_task8",
        description="SemEval-2010 Task 8: relations of two nominals, 9 with direction, and Other; "
        "dev: the 10 % of the training sentences that come first by sha256 of their words",
        licence="CC BY 3.0",
        homepage="https://aclanthology.org/S10-1006/",
        family="relation",
        format="semeval",
        labels=(
            "Other",
            *(f"{name}({way})" for name in SEMEVAL_RELATIONS for way in ("e1,e2", "e2,e1")),
        ),
        files={
            "train": RemoteFile(
                "TRAIN_FILE.TXT",
                f"{_SEMEVAL}/TRAIN_FILE.TXT",
                "c22fee88957d245a4b1650c6743eb8c594dcdeffc6a2aa1fa6cced059eebf0e3",
                1_397_759,
            ),
            "test": RemoteFile(
                "TEST_FILE_FULL.TXT",
                f"{_SEMEVAL}/TEST_FILE_FULL.TXT",
                "9ec7a35d5582b4da0fb72aa55a6121bc414ade573459e1dcf68bf189f8c18ae8",
                473_888,
            ),
        },
        sample=SAMPLES / "semeval2010_task8",
    ),
    Dataset(
        name="conll04",
        description="CoNLL04: five relations between entities of news sentences",
        licence="none stated; research use (news text)",
        homepage="https://aclanthology.org/W04-2401/",
        family="relation",
        format="conll04",
        labels=("NONE", "Kill", "Live_In", "Located_In", "OrgBased_In", "Work_For"),
        files={
            "train": RemoteFile(
                "train.txt",
                f"{_CONLL04}/train.txt",
                "0f560fdaa150133fc4843f72e2a8e707e7f74f06a3a3095d4b9921f8d0ce3614",
                605_406,
            ),
            "dev": RemoteFile(
                "dev.txt",
                f"{_CONLL04}/dev.txt",
                "99e854fd2a7d19247230c3ed8c304f79022380c9d21b58f25e7ffc5fe3884e2d",
                158_566,
            ),
            "test": RemoteFile(
                "test.txt",
                f"{_CONLL04}/test.txt",
                "d172819deff771c059c9c6688d67c3ff2bdaa25cf71ec56b1f7e8c6705f96700",
                191_006,
            ),
        },
        sample=SAMPLES / "conll04",
    ),
)
