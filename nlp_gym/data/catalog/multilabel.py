"""Multi-label corpora: a set of labels per text."""

from __future__ import annotations

from nlp_gym.data.catalog.classification import AAPD
from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile
from nlp_gym.data.readers.classification.multilabel import GOEMOTIONS

_GO = f"{RAW}/monologg/GoEmotions-pytorch/b75f9d3a8b76bc1060687925b04ca98a1b8ea66b/data/original"
_AAPD = f"{RAW}/rajcscw/nlp-gym/39d86066388d095c9453c9b7627d4af165ff3134/nlp_gym/data/AAPD"


ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="goemotions",
        description="GoEmotions: emotions of Reddit comments, sets of 28 labels",
        licence="Apache-2.0 (text written by users, may offend)",
        homepage="https://github.com/google-research/google-research/tree/master/goemotions",
        family="multilabel",
        format="goemotions",
        labels=GOEMOTIONS,
        files={
            "train": RemoteFile(
                "train.tsv",
                f"{_GO}/train.tsv",
                "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
                3_519_053,
            ),
            "dev": RemoteFile(
                "dev.tsv",
                f"{_GO}/dev.tsv",
                "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
                439_059,
            ),
            "test": RemoteFile(
                "test.tsv",
                f"{_GO}/test.tsv",
                "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
                436_706,
            ),
        },
        sample=SAMPLES / "goemotions",
    ),
    Dataset(
        name="aapd",
        description="AAPD: subjects of arXiv abstracts, sets of 54 labels; trains on the dev part",
        licence="none stated; research use (abstracts belong to their authors)",
        homepage="https://github.com/lancopku/SGM",
        family="multilabel",
        format="aapd",
        labels=AAPD,
        files={
            "train": RemoteFile(
                "text_val",
                f"{_AAPD}/text_val",
                "0bef78b7b6a1eef0653e894658f07da0f5b248e984e2b6c254a382bc49ac7e0c",
                980_392,
            ),
            "test": RemoteFile(
                "text_test",
                f"{_AAPD}/text_test",
                "a8dbf21db7186e4ae074645d1e9f1966924caca97ac70e74fffba8e5a6750647",
                991_793,
            ),
        },
        extra_files=(
            RemoteFile(
                "label_val",
                f"{_AAPD}/label_val",
                "03fa1ad9d56a20dc3cef73e4521092ea5a6591f8c3f64cf5cdb610bbb283ca48",
                16_716,
            ),
            RemoteFile(
                "label_test",
                f"{_AAPD}/label_test",
                "0826692e4d88684243514c7dc8dee94433bf26d7595b0c292a4ee4b6ed802e83",
                16_926,
            ),
        ),
        sample=SAMPLES / "aapd",
    ),
)
