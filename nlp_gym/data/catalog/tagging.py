"""Tagging corpora: one label per word."""

from __future__ import annotations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile
from nlp_gym.data.readers.tagging.conllu import UPOS
from nlp_gym.data.tags.schemes import inventory


def _tags(*types: str) -> tuple[str, ...]:
    return inventory(f"B-{kind}" for kind in types)


_CONLL = (
    f"{RAW}/Franck-Dernoncourt/NeuroNER/3817feaf290c1f6e03ae23ea964e68c88d0e7a88"
    "/neuroner/data/conll2003/en"
)
_WNUT = f"{RAW}/leondz/emerging_entities_17/e52a2d2a71ac1a051ca2d532eef28653c5c02603"
_EWT = f"{RAW}/UniversalDependencies/UD_English-EWT/15d613d8447b3478787d4c278730a1e48a945efb"

ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="conll2003",
        description="CoNLL-2003 English named entities: Reuters news, LOC MISC ORG PER",
        licence="research use only, no redistribution (text: Reuters Corpus RCV1)",
        homepage="https://www.clips.uantwerpen.be/conll2003/ner/",
        format="conll",
        labels=_tags("LOC", "MISC", "ORG", "PER"),
        files={
            "train": RemoteFile(
                "eng.train",
                f"{_CONLL}/train.txt",
                "213953b5522fb7924802d883e50f027b2c6ffb5d4d0e63368ed82909f9b60423",
                3_283_420,
            ),
            "dev": RemoteFile(
                "eng.testa",
                f"{_CONLL}/valid.txt",
                "c02eb19809eafb83998326a0481942eb37d96f31826ae387cfe8773699969f5b",
                827_443,
            ),
            "test": RemoteFile(
                "eng.testb",
                f"{_CONLL}/test.txt",
                "dc4ac7f3d6d01a6bec59261814561da3b287b6b493b97d1f69c580b52ec1831b",
                748_095,
            ),
        },
        sample=SAMPLES / "conll2003",
    ),
    Dataset(
        name="wnut17",
        description="WNUT-2017 novel and emerging entities: social media, 6 types",
        licence="CC BY 4.0",
        homepage="https://noisy-text.github.io/2017/emerging-rare-entities.html",
        format="conll",
        labels=_tags("corporation", "creative-work", "group", "location", "person", "product"),
        files={
            "train": RemoteFile(
                "wnut17train.conll",
                f"{_WNUT}/wnut17train.conll",
                "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
                493_781,
            ),
            "dev": RemoteFile(
                "emerging.dev.conll",
                f"{_WNUT}/emerging.dev.conll",
                "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
                114_749,
            ),
            "test": RemoteFile(
                "emerging.test.annotated",
                f"{_WNUT}/emerging.test.annotated",
                "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
                192_425,
            ),
        },
        sample=SAMPLES / "wnut17",
    ),
    Dataset(
        name="ud_ewt",
        description="UD English Web Treebank: parts of speech, web text",
        licence="CC BY-SA 4.0",
        homepage="https://universaldependencies.org/treebanks/en_ewt/",
        format="conllu",
        labels=UPOS,
        files={
            "train": RemoteFile(
                "en_ewt-ud-train.conllu",
                f"{_EWT}/en_ewt-ud-train.conllu",
                "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b",
                14_203_025,
            ),
            "dev": RemoteFile(
                "en_ewt-ud-dev.conllu",
                f"{_EWT}/en_ewt-ud-dev.conllu",
                "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
                1_805_545,
            ),
            "test": RemoteFile(
                "en_ewt-ud-test.conllu",
                f"{_EWT}/en_ewt-ud-test.conllu",
                "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
                1_804_515,
            ),
        },
        sample=SAMPLES / "ud_ewt",
    ),
)
