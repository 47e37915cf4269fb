"""Corpora of dialogues: with candidate replies, or with the acts of the system."""

from __future__ import annotations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile

_DAILYDIALOG = (
    f"{RAW}/iitmnlp/DailyDialog-plusplus/4b02f9ff671e7e27d8e6b8a1925158bd5729abda/dataset"
)

REPLY_ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="dailydialog_pp",
        description="DailyDialog++: daily conversations; 5 right, 5 adversarial and 5 random "
        "replies in dev and test, right replies alone in train",
        licence="non-commercial research use (text: DailyDialog, CC BY-NC-SA 4.0)",
        homepage="https://github.com/iitmnlp/DailyDialog-plusplus",
        format="dailydialog",
        labels=(),
        files={
            "train": RemoteFile(
                "data_positives.json",
                f"{_DAILYDIALOG}/data_positives.json",
                "36ae33206b536161816dbbb611843c0dc5172612bc94f604a8484f812ebdc0a9",
                3_572_358,
            ),
            "dev": RemoteFile(
                "dev.json",
                f"{_DAILYDIALOG}/dev.json",
                "afbdee92c9ab372f599c605609676fceba517f83286d58555f0404f4364b5bfa",
                1_226_933,
            ),
            "test": RemoteFile(
                "test.json",
                f"{_DAILYDIALOG}/test.json",
                "e8202c3d4b11008a13061b15c4d8ce1f6d05baa9104a9c1f5caa5450134522fa",
                1_326_667,
            ),
        },
        sample=SAMPLES / "dailydialog_pp",
        family="dialogue",
    ),
)

_SGD = (
    f"{RAW}/google-research-datasets/dstc8-schema-guided-dialogue"
    "/e852981ae34990f4358979625854259302feaa78"
)


def _part(split: str, number: str, sha256: str, size: int) -> RemoteFile:
    """One file of SGD in its folder layout."""
    path = f"{split}/dialogues_{number}.json"
    return RemoteFile(path, f"{_SGD}/{path}", sha256, size)


_ACT_ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="sgd",
        description="Schema-Guided Dialogue, 9 of its files: bookings and look-ups, 10 system acts",
        licence="CC BY-SA 4.0",
        homepage="https://github.com/google-research-datasets/dstc8-schema-guided-dialogue",
        format="sgd",
        labels=(
            "INFORM",
            "REQUEST",
            "CONFIRM",
            "OFFER",
            "NOTIFY_SUCCESS",
            "NOTIFY_FAILURE",
            "INFORM_COUNT",
            "OFFER_INTENT",
            "REQ_MORE",
            "GOODBYE",
        ),
        files={
            "train": (
                _part(
                    "train",
                    "015",
                    "b698e8db9b0898186453ec9fcec5f80ab043cfe301447d28dc577e99bd3acfd3",
                    1_744_364,
                ),
                _part(
                    "train",
                    "020",
                    "b2a3cd6d8e677c6a9d342f5703a947525b17b906348cd944a4da1c449ff4f3a4",
                    1_683_144,
                ),
                _part(
                    "train",
                    "022",
                    "01a403f462a62b324f94de598c279b5adbaee55ac10c7aed72d798aa5924c510",
                    1_701_259,
                ),
                _part(
                    "train",
                    "033",
                    "74c23ae93203ed5672015ce13d01c01d80d4f3a3ccd64c8f62f52e0b7c411871",
                    1_415_091,
                ),
                _part(
                    "train",
                    "043",
                    "98c9cc7865bc70e67123cc4e64daad8843d5750552bae2559d7bb95aae782c0a",
                    1_648_319,
                ),
            ),
            "dev": (
                _part(
                    "dev",
                    "003",
                    "5915cea36b77de920fbd66569333db2395626ec465ba23e2f0caa77fba2e5dae",
                    1_965_028,
                ),
                _part(
                    "dev",
                    "005",
                    "107d8bc1ce21b06453f33cc8dfc19172e0956646b47d9c1db7bdcd978a323d73",
                    1_512_309,
                ),
            ),
            "test": (
                _part(
                    "test",
                    "003",
                    "b595a04f7848aed76d11e82250089023e42a6e5ce047c78b8ddd0f4856dcbecb",
                    1_817_838,
                ),
                _part(
                    "test",
                    "010",
                    "b4fc2c16d0cb46e14d0def357f4a941ee61fad3c6c8dd430ac8bae6145f1e4d0",
                    1_376_297,
                ),
            ),
        },
        sample=SAMPLES / "sgd",
        family="policy",
    ),
)


def _schema(split: str, sha256: str, size: int) -> RemoteFile:
    """The services of a split of SGD."""
    return RemoteFile(f"{split}/schema.json", f"{_SGD}/{split}/schema.json", sha256, size)


_GOAL_ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="sgd_goals",
        description="Schema-Guided Dialogue as goals of users, with schemas and what services "
        "answered, for a user simulator",
        licence="CC BY-SA 4.0",
        homepage="https://github.com/google-research-datasets/dstc8-schema-guided-dialogue",
        format="goals",
        labels=(),
        files=_ACT_ROWS[0].files,
        extra_files=(
            _schema(
                "train",
                "97b6c21673aa7e5c2d1ceef52aa35170c565223cdcbf33bb24c69739bda04a82",
                75_764,
            ),
            _schema(
                "dev",
                "8fee8b1211500a4a1fb071765150e3267d20148bcad72a22c04bb1fdcd649366",
                45_576,
            ),
            _schema(
                "test",
                "0b4af32e01695aec4788681fe6b22fb7ee908907269f5ac7167d01f4c4132bcb",
                54_864,
            ),
        ),
        sample=SAMPLES / "sgd_goals",
        family="goals",
        folder="sgd",
    ),
)

ROWS: tuple[Dataset, ...] = (*REPLY_ROWS, *_ACT_ROWS, *_GOAL_ROWS)
