"""Dialogue: the reply among candidates."""

from __future__ import annotations

from nlp_gym.data.catalog.rows import RAW, SAMPLES, Dataset, RemoteFile

_DAILYDIALOG = (
    f"{RAW}/iitmnlp/DailyDialog-plusplus/4b02f9ff671e7e27d8e6b8a1925158bd5729abda/dataset"
)

ROWS: tuple[Dataset, ...] = (
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
