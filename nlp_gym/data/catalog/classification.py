"""Classification corpora: sentiment, topics and questions, one label a text."""

from __future__ import annotations

from nlp_gym.data.catalog.rows import RAW, SAMPLES, Dataset, RemoteFile
from nlp_gym.data.readers.classification_official import AG_LABELS, SST2_LABELS

_FEW_SHOT = f"{RAW}/tonyzhaozh/few-shot-learning/e04d8643be91c2cce63f33e07760ff75d5aa3ad0/data"
_AG = f"{RAW}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"


ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="sst2",
        description="SST-2: sentiment of film review sentences, 2 labels",
        licence="none stated; used for research (text: Rotten Tomatoes reviews)",
        homepage="https://nlp.stanford.edu/sentiment/",
        family="classification",
        format="sst2",
        labels=SST2_LABELS,
        files={
            "train": RemoteFile(
                "stsa.binary.train",
                f"{_FEW_SHOT}/sst2/stsa.binary.train",
                "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
                738_844,
            ),
            "dev": RemoteFile(
                "stsa.binary.dev",
                f"{_FEW_SHOT}/sst2/stsa.binary.dev",
                "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
                94_400,
            ),
            "test": RemoteFile(
                "stsa.binary.test",
                f"{_FEW_SHOT}/sst2/stsa.binary.test",
                "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
                193_562,
            ),
        },
        sample=SAMPLES / "sst2",
    ),
    Dataset(
        name="ag_news",
        description="AG News: topic of news articles, 4 labels; training part of 9,774 articles",
        licence="research and other non-commercial use",
        homepage="https://github.com/mhjabreel/CharCnn_Keras",
        family="classification",
        format="ag-csv",
        labels=AG_LABELS,
        files={
            "train": RemoteFile(
                "train.csv",
                None,
                "786f630405986ac85373869992e32384377ab40f295bfbf46fe114fd12c6f884",
                2_382_978,
            ),
            "test": RemoteFile(
                "test.csv",
                f"{_AG}/test.csv",
                "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
                1_857_427,
            ),
        },
        official={
            "train": RemoteFile(
                "train.csv",
                f"{_AG}/train.csv",
                "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
                29_470_338,
            )
        },
        sample=SAMPLES / "ag_news",
    ),
    Dataset(
        name="trec",
        description="TREC questions: what the answer is, 6 labels (50 with column='fine')",
        licence="none stated; offered for research",
        homepage="https://cogcomp.seas.upenn.edu/Data/QA/QC/",
        family="classification",
        format="trec",
        labels=("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"),
        files={  # as published, and with a newline at the end
            "train": RemoteFile(
                "train.txt",
                None,
                "56aa6db9296c8bd5f7b44caa051dee94c15c8c5b274fcda2bc1c409fef5969eb",
                335_860,
            ),
            "test": RemoteFile(
                "test.txt",
                None,
                "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
                23_354,
            ),
        },
        official={
            "train": RemoteFile(
                "train.txt",
                f"{_FEW_SHOT}/trec/train.txt",
                "202e3e1ad6143ed4f147f199324277e25b2573a78c08c3af1ff840b49c0779de",
                335_859,
            ),
            "test": RemoteFile(
                "test.txt",
                f"{_FEW_SHOT}/trec/test.txt",
                "69b2d406aa15b3b514b6bf9b3bf1fa2c3515ce7ae744651173f8e57347bfb2a9",
                23_353,
            ),
        },
        sample=SAMPLES / "trec",
    ),
)
