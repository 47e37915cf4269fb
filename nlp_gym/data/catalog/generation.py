"""Corpora of texts with references: translations, summaries, replies."""

from __future__ import annotations

from itertools import permutations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile
from nlp_gym.data.catalog.dialogue import REPLY_ROWS

_SCITLDR = f"{RAW}/allenai/scitldr/5ccad9c00a60ad75c9e04abf7f27d0f53f983b20/SciTLDR-Data/SciTLDR-A"

EXTRACTIVE_ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="scitldr",
        description="SciTLDR-A: abstracts of papers with summaries of one sentence",
        licence="Apache-2.0",
        homepage="https://github.com/allenai/scitldr",
        format="scitldr",
        labels=(),
        files={
            "train": RemoteFile(
                "train.jsonl",
                f"{_SCITLDR}/train.jsonl",
                "b222771d387be585cfdf5ae957b36757138415a352e0a3e3b23f73f87c3b1119",
                3_155_015,
            ),
            "dev": RemoteFile(
                "dev.jsonl",
                f"{_SCITLDR}/dev.jsonl",
                "3191fa98ccc09521332b7a1cd63b1930be4e8df125a235ccd31e40329709525e",
                1_124_865,
            ),
            "test": RemoteFile(
                "test.jsonl",
                f"{_SCITLDR}/test.jsonl",
                "fb42dd6cd4f4a1928ae8a01a189456fbfe994a07e938bd49f68653933f6503c9",
                1_204_107,
            ),
        },
        sample=SAMPLES / "scitldr",
        family="summary",
    ),
)

_MULTI30K = f"{RAW}/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"
_DIALOGSUM = f"{RAW}/cylnlp/dialogsum/848cc8c05e0a04def79326539de827f1b28786a0/DialogSum_Data"

_TRANSLATED = {
    "train": (
        ("en", 1_801_238, "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6"),
        ("de", 2_110_398, "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72"),
        ("fr", 2_111_303, "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d"),
    ),
    "val": (
        ("en", 63_297, "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227"),
        ("de", 75_981, "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660"),
        ("fr", 73_924, "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc"),
    ),
    "test_2016_flickr": (
        ("en", 62_076, "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182"),
        ("de", 70_649, "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16"),
        ("fr", 72_261, "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6"),
    ),
}


def _multi30k(stem: str) -> tuple[RemoteFile, ...]:
    """The files of a split; they are compressed at their addresses."""
    return tuple(
        RemoteFile(f"{stem}.{code}", f"{_MULTI30K}/{stem}.{code}.gz", sha256, size)
        for code, size, sha256 in _TRANSLATED[stem]
    )


_CMN = RemoteFile(
    "cmn.txt", None, "74bd3c04dfe0ec75aaaf165597b2a83c6a733d34f46b184fc21ca6b552c268d3", 1_259_882
)

TRANSLATION = (
    Dataset(
        name="multi30k",
        description="Multi30k: image descriptions in English, German and French; test: 2016 Flickr",
        licence="none stated; non-commercial research (English: Flickr30k)",
        homepage="https://github.com/multi30k/dataset",
        format="parallel",
        labels=(),
        files={
            "train": _multi30k("train"),
            "dev": _multi30k("val"),
            "test": _multi30k("test_2016_flickr"),
        },
        sample=SAMPLES / "multi30k",
        family="generation",
        pairs=tuple(map("-".join, permutations(("en", "de", "fr"), 2))),
        sample_mirrors=True,
    ),
    Dataset(
        name="tatoeba_en_zh",
        description="Tatoeba: short everyday sentences in English and Chinese; 5 % dev, 5 % test",
        licence="none stated in the source (Tatoeba's sentences: CC BY 2.0 FR)",
        homepage="https://github.com/pjgao/seq2seq_keras",
        format="tatoeba",
        labels=(),
        files={"train": _CMN, "dev": _CMN, "test": _CMN},
        sample=SAMPLES / "tatoeba_en_zh",
        sample_name="cmn.txt",
        family="generation",
        pairs=("en-zh", "zh-en"),
        obtain="It is data/cmn.txt of https://github.com/pjgao/seq2seq_keras at commit "
        "345f3ad6aa03988aa5deb9e5252de4f0c59cc0a2, its line ends made LF (tr -d '\\r'). A newer "
        "list of https://www.manythings.org/anki goes with data=FILE.",
    ),
)

SUMMARIES = (
    Dataset(
        name="aeslc",
        description="AESLC: subject lines of Enron's mails, with those of annotators in dev and "
        "test; train is 4,000 of 14,436",
        licence="CC BY-NC-SA 4.0 (mails of real people)",
        homepage="https://github.com/ryanzhumich/AESLC",
        format="aeslc",
        labels=(),
        files={
            "train": RemoteFile(
                "train.jsonl",
                None,
                "8526bb3e1a10b0c17576827685f5ace969fdb7a68f7ef124d7af68eeacd7fd4f",
                3_519_528,
            ),
            "dev": RemoteFile(
                "dev.jsonl",
                None,
                "dc68d995b25020dacd16528fc3092bc7f674ffe680fd98d4293d433086f79c22",
                2_010_302,
            ),
            "test": RemoteFile(
                "test.jsonl",
                None,
                "60c2f8c427e3ff5ae095f677b800eea2ac3f4f5f1505781e2e9aa0e5e5939b9c",
                1_730_730,
            ),
        },
        sample=SAMPLES / "aeslc",
        family="generation",
        obtain="They are enron_subject_line/{train,dev,test}/*.subject of "
        "https://github.com/ryanzhumich/AESLC at commit 7afc087a1cc234d07121f0d4a2d87102ddceabc2, "
        "written as JSON Lines (id, body, subject, annotations); your own such files, all of train "
        "too, go with data=FOLDER.",
    ),
    Dataset(
        name="dialogsum",
        description="DialogSum: summaries of daily dialogues; trains on 90 % of the dev part",
        licence="CC BY-NC-SA 4.0 (dialogues belong to their authors)",
        homepage="https://github.com/cylnlp/dialogsum",
        format="dialogsum",
        labels=(),
        files={
            "train": RemoteFile(
                "dialogsum.dev.jsonl",
                f"{_DIALOGSUM}/dialogsum.dev.jsonl",
                "436721e0a3571eef7072964f80e042fb151d8c6178db1a688ce8f803bbf0a13f",
                471_830,
            ),
            "test": RemoteFile(
                "dialogsum.test.jsonl",
                f"{_DIALOGSUM}/dialogsum.test.jsonl",
                "6de36eca7e7b9b10975fd5ea3f47391df172d8b3c15d03d84d763cbaab015fda",
                639_707,
            ),
        },
        sample=SAMPLES / "dialogsum",
        family="generation",
    ),
)


def _written(row: Dataset, name: str, description: str, format: str) -> Dataset:
    """The row that offers a corpus of another family as texts to write, from the same files."""
    return Dataset(
        name=name,
        description=description,
        licence=row.licence,
        homepage=row.homepage,
        format=format,
        labels=(),
        files=row.files,
        sample=row.sample,
        family="generation",
        folder=row.name,
    )


WRITTEN_ROWS: tuple[Dataset, ...] = (
    *TRANSLATION,
    *SUMMARIES,
    *(
        _written(
            row,
            "scitldr_written",
            "SciTLDR-A: abstracts of papers and the summaries of one sentence to write",
            "scitldr",
        )
        for row in EXTRACTIVE_ROWS
    ),
    *(
        _written(
            row,
            "dailydialog_pp_replies",
            "DailyDialog++: daily conversations and five right replies each, to write",
            "replies",
        )
        for row in REPLY_ROWS
    ),
    Dataset(
        name="continuations",
        description="Chinese prompts and how they go on: weather, outings, food, travel, work",
        licence="that of nlp_gym",
        homepage="nlp_gym/data/samples/continuations",
        format="jsonl",
        labels=(),
        files={},
        sample=SAMPLES / "continuations",
        family="generation",
    ),
    Dataset(
        name="compressions",
        description="English sentences of daily life, each with a shorter one made of its words",
        licence="that of nlp_gym",
        homepage="nlp_gym/data/samples/compressions",
        format="jsonl",
        labels=(),
        files={},
        sample=SAMPLES / "compressions",
        family="generation",
    ),
)
