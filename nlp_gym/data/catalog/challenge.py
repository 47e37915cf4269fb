"""Corpora of pairs of texts that test robustness: an original and its counterpart."""

from __future__ import annotations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile

_CAD = (
    f"{RAW}/acmi-lab/counterfactually-augmented-data/6f232a1d2a11462a30ce08fb4825b734ab30828e"
    "/sentiment/combined/paired"
)
_PARAPHRASES = f"{RAW}/nusnlp/paraphrasing-squad/860c4924d7746e17294eae548776e882f9bf52dd/datasets"

ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="counterfactual",
        description="IMDb reviews and their minimal edits with the other sentiment, in pairs",
        licence="Apache-2.0 (the reviews belong to their writers)",
        homepage="https://github.com/acmi-lab/counterfactually-augmented-data",
        family="classification",
        format="csv",
        labels=("Negative", "Positive"),
        files={
            "train": RemoteFile(
                "sentiment_train_paired.tsv",
                f"{_CAD}/train_paired.tsv",
                "7ac50ca3d70890f80e11ee59955cdbfc43f26b5078d0603717817ab224d2af18",
                3_179_425,
            ),
            "dev": RemoteFile(
                "sentiment_dev_paired.tsv",
                f"{_CAD}/dev_paired.tsv",
                "4c2d8a70cbce23eba27fb1f0bb5043cf044811912435cf8d10c3ea6fc7a51363",
                466_175,
            ),
            "test": RemoteFile(
                "sentiment_test_paired.tsv",
                f"{_CAD}/test_paired.tsv",
                "9534b20850205c59015b313983cae7afb31c54c04ffcbd19cea7f1bce5011275",
                907_811,
            ),
        },
        sample=SAMPLES / "counterfactual",
    ),
    Dataset(
        name="paraphrased_squad",
        description="Questions of SQuAD 1.1's dev part, then a paraphrase of each; trains on SQuAD",
        licence="none stated (passages and original questions: CC BY-SA 4.0)",
        homepage="https://github.com/nusnlp/paraphrasing-squad",
        family="spanqa",
        format="squad",
        labels=(),
        files={
            "test": (
                RemoteFile(
                    "dev_orig.json",
                    f"{_PARAPHRASES}/dev_orig.json",
                    "a07aa501ab98f9eed859249398d25296a7277774c9d6392eb2482438a99c7349",
                    1_271_743,
                ),
                RemoteFile(
                    "dev_para.json",
                    f"{_PARAPHRASES}/dev_para.json",
                    "aa55be585ece44d7ea489f3b96dddc474c48faa43caba65490e7f0291b6cca1a",
                    1_273_787,
                ),
            ),
        },
        sample=SAMPLES / "paraphrased_squad",
        borrow={"train": ("squad",)},
    ),
)
