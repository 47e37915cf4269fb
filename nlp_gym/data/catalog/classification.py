"""Classification corpora: one label a text, or a set of them (multilabel)."""

from __future__ import annotations

from nlp_gym.data.catalog.classification_labels import AAPD, BANKING77, CLINC150
from nlp_gym.data.catalog.rows import RAW, SAMPLES, Dataset, RemoteFile
from nlp_gym.data.readers.classification_official import AG_LABELS, SST2_LABELS
from nlp_gym.data.readers.multilabel import GOEMOTIONS

_FEW_SHOT = f"{RAW}/tonyzhaozh/few-shot-learning/e04d8643be91c2cce63f33e07760ff75d5aa3ad0/data"
_AG = f"{RAW}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"
_CLINC = f"{RAW}/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/data_full.json"
_BANKING = (
    f"{RAW}/PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b/banking_data"
)
_SNIPS = (
    f"{RAW}/sonos/nlu-benchmark/b86ac7f1577868c42158d0dec77db50956046696"
    "/2017-06-custom-intent-engines"
)
_GO = f"{RAW}/monologg/GoEmotions-pytorch/b75f9d3a8b76bc1060687925b04ca98a1b8ea66b/data/original"
_AAPD = f"{RAW}/rajcscw/nlp-gym/39d86066388d095c9453c9b7627d4af165ff3134/nlp_gym/data/AAPD"


def _file(folder: str | None, filename: str, sha256: str, size: int) -> RemoteFile:
    return RemoteFile(filename, None if folder is None else f"{folder}/{filename}", sha256, size)


def _snips(intent: str, split: str, sha256: str, size: int) -> RemoteFile:
    name = f"train_{intent}_full.json" if split == "train" else f"validate_{intent}.json"
    # Upstream's file has one emoji that is not UTF-8 (see `obtain`).
    url = None if name == "train_PlayMusic_full.json" else f"{_SNIPS}/{intent}/{name}"
    return RemoteFile(name, url, sha256, size)


_SNIPS_FILES = {
    "train": (
        _snips(
            "AddToPlaylist",
            "train",
            "fee1b4645352e70ed8a40f1f87c3b53fc3bf75f8ebc82252a22b82c107e75b01",
            833_810,
        ),
        _snips(
            "BookRestaurant",
            "train",
            "7677e82cd6e9a8191f0a4502568c786278c984900b4796d3628e46f1abf73ef4",
            980_018,
        ),
        _snips(
            "GetWeather",
            "train",
            "86f414b2ad8a993134d85d16e25e5d337beae47cef993c0af2a5f440405c60f6",
            743_646,
        ),
        _snips(
            "PlayMusic",
            "train",
            "010ced590924a7cf39bafc455dc4c53d42eb14f08e8485b71f95bedd5c13a94c",
            675_341,
        ),
        _snips(
            "RateBook",
            "train",
            "bb43e4b74134300d5766f6b420d0357a63402987a225f6dc92c806c9c040ce04",
            506_364,
        ),
        _snips(
            "SearchCreativeWork",
            "train",
            "87b3432de48c71c205aa5238b41d9e3f2d70bdfcd0bea2427544fb9e4bd5e5bb",
            292_392,
        ),
        _snips(
            "SearchScreeningEvent",
            "train",
            "5447e9440c02e2fb08c3ae16b9f58a4d1332b4bc77fd34691402b02aa4399765",
            364_989,
        ),
    ),
    "test": (
        _snips(
            "AddToPlaylist",
            "test",
            "14cc9ee49ae477b1452632a6e835498cf4c32da397b16967c82abb3e50403e83",
            44_160,
        ),
        _snips(
            "BookRestaurant",
            "test",
            "4f7258ccc768b777b2eb8916532db9aa50dbd058ddf1ffb0dc59218963e7442a",
            49_353,
        ),
        _snips(
            "GetWeather",
            "test",
            "60c095e193655d6ca92be220fed3926ca25e18cd70c85664145efe25d80993af",
            39_612,
        ),
        _snips(
            "PlayMusic",
            "test",
            "922212775e26259d5bffeaf79b6048d070ca017d229df00b2cc9800f71c75d20",
            33_122,
        ),
        _snips(
            "RateBook",
            "test",
            "c1f8b4114da0bb5e8afd78a8062766e18b2eabb0e717539598db01b09d04619b",
            52_854,
        ),
        _snips(
            "SearchCreativeWork",
            "test",
            "8a5e830eddb185d3e4a9d27ded140a145d04766bdce0e58834676ede32d13e77",
            31_404,
        ),
        _snips(
            "SearchScreeningEvent",
            "test",
            "81e1445713e03c7c3e615353c5f3fee05f369fe9834100b9b9735900a96b9498",
            35_716,
        ),
    ),
}

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
            "train": _file(
                f"{_FEW_SHOT}/sst2",
                "stsa.binary.train",
                "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
                738_844,
            ),
            "dev": _file(
                f"{_FEW_SHOT}/sst2",
                "stsa.binary.dev",
                "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
                94_400,
            ),
            "test": _file(
                f"{_FEW_SHOT}/sst2",
                "stsa.binary.test",
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
            "train": _file(
                None,
                "train.csv",
                "786f630405986ac85373869992e32384377ab40f295bfbf46fe114fd12c6f884",
                2_382_978,
            ),
            "test": _file(
                _AG,
                "test.csv",
                "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
                1_857_427,
            ),
        },
        official={
            "train": _file(
                _AG,
                "train.csv",
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
            "train": _file(
                None,
                "train.txt",
                "56aa6db9296c8bd5f7b44caa051dee94c15c8c5b274fcda2bc1c409fef5969eb",
                335_860,
            ),
            "test": _file(
                None,
                "test.txt",
                "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
                23_354,
            ),
        },
        official={
            "train": _file(
                f"{_FEW_SHOT}/trec",
                "train.txt",
                "202e3e1ad6143ed4f147f199324277e25b2573a78c08c3af1ff840b49c0779de",
                335_859,
            ),
            "test": _file(
                f"{_FEW_SHOT}/trec",
                "test.txt",
                "69b2d406aa15b3b514b6bf9b3bf1fa2c3515ce7ae744651173f8e57347bfb2a9",
                23_353,
            ),
        },
        sample=SAMPLES / "trec",
    ),
    Dataset(
        name="clinc150",
        description="CLINC150: intent of a request, 150 labels and out-of-scope",
        licence="CC BY 3.0",
        homepage="https://github.com/clinc/oos-eval",
        family="classification",
        format="clinc",
        labels=CLINC150,
        files=dict.fromkeys(
            ("train", "dev", "test"),
            RemoteFile(
                "data_full.json",
                _CLINC,
                "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
                2_495_390,
            ),
        ),
        sample=SAMPLES / "clinc150",
        sample_name="all.json",
    ),
    Dataset(
        name="banking77",
        description="BANKING77: intent of a bank customer's question, 77 labels",
        licence="CC BY 4.0",
        homepage="https://github.com/PolyAI-LDN/task-specific-datasets",
        family="classification",
        format="csv",
        labels=BANKING77,
        files={
            "train": _file(
                _BANKING,
                "train.csv",
                "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
                839_073,
            ),
            "test": _file(
                _BANKING,
                "test.csv",
                "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
                239_961,
            ),
        },
        sample=SAMPLES / "banking77",
    ),
    Dataset(
        name="snips",
        description="SNIPS: intent of a request to a voice assistant, 7 labels",
        licence="CC0 1.0",
        homepage="https://github.com/sonos/nlu-benchmark",
        family="classification",
        format="snips",
        labels=(
            "AddToPlaylist",
            "BookRestaurant",
            "GetWeather",
            "PlayMusic",
            "RateBook",
            "SearchCreativeWork",
            "SearchScreeningEvent",
        ),
        files=_SNIPS_FILES,
        sample=SAMPLES / "snips",
        obtain="train_PlayMusic_full.json is the file of that name of the repository, in which one "
        "emoji stored as two surrogates (CESU-8) was made valid UTF-8",
    ),
    Dataset(
        name="goemotions",
        description="GoEmotions: emotions of Reddit comments, sets of 28 labels",
        licence="Apache-2.0 (text written by users, may offend)",
        homepage="https://github.com/google-research/google-research/tree/master/goemotions",
        family="multilabel",
        format="goemotions",
        labels=GOEMOTIONS,
        files={
            "train": _file(
                _GO,
                "train.tsv",
                "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
                3_519_053,
            ),
            "dev": _file(
                _GO,
                "dev.tsv",
                "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
                439_059,
            ),
            "test": _file(
                _GO,
                "test.tsv",
                "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
                436_706,
            ),
        },
        sample=SAMPLES / "goemotions",
    ),
    Dataset(
        name="aapd",
        description="AAPD: subjects of arXiv abstracts, sets of 54 labels; validation part as train",
        licence="none stated; research use (abstracts belong to their authors)",
        homepage="https://github.com/lancopku/SGM",
        family="multilabel",
        format="aapd",
        labels=AAPD,
        files={
            "train": _file(
                _AAPD,
                "text_val",
                "0bef78b7b6a1eef0653e894658f07da0f5b248e984e2b6c254a382bc49ac7e0c",
                980_392,
            ),
            "test": _file(
                _AAPD,
                "text_test",
                "a8dbf21db7186e4ae074645d1e9f1966924caca97ac70e74fffba8e5a6750647",
                991_793,
            ),
        },
        extra_files=(
            _file(
                _AAPD,
                "label_val",
                "03fa1ad9d56a20dc3cef73e4521092ea5a6591f8c3f64cf5cdb610bbb283ca48",
                16_716,
            ),
            _file(
                _AAPD,
                "label_test",
                "0826692e4d88684243514c7dc8dee94433bf26d7595b0c292a4ee4b6ed802e83",
                16_926,
            ),
        ),
        sample=SAMPLES / "aapd",
    ),
)
