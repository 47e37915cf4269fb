"""Extractive summaries."""

from __future__ import annotations

from nlp_gym.data.catalog.rows import RAW, SAMPLES, Dataset, RemoteFile

_SCITLDR = f"{RAW}/allenai/scitldr/5ccad9c00a60ad75c9e04abf7f27d0f53f983b20/SciTLDR-Data/SciTLDR-A"

ROWS: tuple[Dataset, ...] = (
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
