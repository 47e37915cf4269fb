"""Knowledge graphs: triples of head, relation and tail."""

from __future__ import annotations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile

_WN18RR = (
    f"{RAW}/villmow/datasets_knowledge_embedding/9e392453d6804d1f51c13e5650ae58ed48b638d5"
    "/WN18RR/text"
)

ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="wn18rr",
        description="WN18RR: links between 41,105 WordNet synsets, readable names, 11 relations",
        licence="MIT (the file set); WordNet's own licence allows copying with its notice",
        homepage="https://github.com/villmow/datasets_knowledge_embedding",
        format="triples",
        labels=(),
        files={
            "train": RemoteFile(
                "train.txt",
                f"{_WN18RR}/train.txt",
                "a35aca3c963b71b8efa935c172bf07afe4472655552a0ad8d3b396b4154f1f29",
                4_091_114,
            ),
            "dev": RemoteFile(
                "valid.txt",
                f"{_WN18RR}/valid.txt",
                "2c71419fcd86a1720020a8709ab3e8bbb6e0d097a8abce41135fe4c43fec5f84",
                143_548,
            ),
            "test": RemoteFile(
                "test.txt",
                f"{_WN18RR}/test.txt",
                "80cfa61fe62ba084f58de42d8d0b384dc8b76bcd2ef7065b1a292a1e72b44c33",
                147_707,
            ),
        },
        sample=SAMPLES / "wn18rr",
        family="kg",
    ),
    Dataset(
        name="fb15k237",
        description="FB15k-237: Freebase links between 14,541 entities, 237 relations, with labels",
        licence="none stated for the file set (Freebase: CC BY 2.5; labels from Wikidata: CC0)",
        homepage="https://github.com/thunlp/OpenKE",
        format="triples",
        labels=(),
        files={
            "train": RemoteFile(
                "train.txt",
                None,
                "61099230e4439f90885ca9767739e31e8e32f54736fa1c35952b27997bc7c08a",
                21_005_177,
            ),
            "dev": RemoteFile(
                "valid.txt",
                None,
                "749cbe9d923bac7b9354da5614ecfed2e0220256d442c3e04a6b303db1f273d9",
                1_285_566,
            ),
            "test": RemoteFile(
                "test.txt",
                None,
                "e2e35e8e6113de220140b6f44dc71a5207b0fc6872d575e874aefe13259b655b",
                1_499_033,
            ),
        },
        sample=SAMPLES / "fb15k237",
        family="kg",
        extra_files=(
            RemoteFile(
                "entity_labels.tsv",
                None,
                "88134131e618268a61910271f49e25e578111b9c5a834d88f7a0af026bf2fbc8",
                874_815,
            ),
        ),
        obtain=(
            "The triples are benchmarks/FB15K237/{train,valid,test}2id.txt of "
            "https://github.com/thunlp/OpenKE (commit 64c4ec8), ids turned back to names by its "
            "entity2id.txt and relation2id.txt and written as head, relation, tail between tabs; "
            "the labels (id, label, description) are FB15k-237/entity2wikidata.json of "
            "https://github.com/villmow/datasets_knowledge_embedding (commit 9e39245). Another "
            "copy of FB15k-237 works as data={'train': FILE, 'dev': FILE, 'test': FILE}."
        ),
    ),
)
