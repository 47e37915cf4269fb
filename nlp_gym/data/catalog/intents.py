"""Intent corpora: classification of requests and questions."""

from __future__ import annotations

from nlp_gym.data.catalog.classification import BANKING77, CLINC150
from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile

_CLINC = f"{RAW}/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/data_full.json"
_BANKING = (
    f"{RAW}/PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b/banking_data"
)
_SNIPS = (
    f"{RAW}/sonos/nlu-benchmark/b86ac7f1577868c42158d0dec77db50956046696"
    "/2017-06-custom-intent-engines"
)


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
            "train": RemoteFile(
                "train.csv",
                f"{_BANKING}/train.csv",
                "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
                839_073,
            ),
            "test": RemoteFile(
                "test.csv",
                f"{_BANKING}/test.csv",
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
)
