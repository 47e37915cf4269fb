"""Pictures of an episode as a film, in a file that browsers and pages show by themselves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_name, check_number, check_path
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.files import atomic_path

if TYPE_CHECKING:
    from PIL import Image

PAUSE_S, LAST_PAUSE_S = 0.7, 3.0
"""Seconds that a film shows a frame, time enough to find and read what is new, and the last one."""
COLOURS = 96
"""Most colours of a frame in a GIF: enough for all labels and the edges of letters."""
_LOSSLESS: dict[str, dict[str, Any]] = {
    "GIF": {"optimize": True},
    "PNG": {"optimize": True},
    "WEBP": {"lossless": True, "quality": 50, "method": 2},
}
_LONGEST_S = 60.0


def save_film(
    frames: Sequence[npt.NDArray[np.uint8]],
    path: str | Path,
    *,
    pause_s: float = PAUSE_S,
    last_pause_s: float = LAST_PAUSE_S,
) -> Path:
    """Write pictures as a film that plays again and again.

    Args:
        frames: Arrays (height, width, 3) of one shape: what ``render()`` gives with
            ``render_mode="rgb_array_list"``.
        path: ``.gif``, ``.webp`` or ``.png`` (animated; the latter two are smaller or sharper, but
            not shown everywhere).
        pause_s: Seconds that each frame is seen, in steps of a hundredth.
        last_pause_s: Seconds that the last frame is seen.

    Returns:
        `path`.

    Raises:
        InvalidArgumentError: There is no frame, one is no picture or of another shape, or a number
            is out of its range.
        UnknownNameError: The ending of `path` is none of the above.
        OSError: The file cannot be written.
    """
    from PIL import Image  # loaded where pictures are asked for

    path = check_path("path", path)
    check_name("ending of path", path.suffix.lower(), (".gif", ".webp", ".png"))
    for name, value in (("pause_s", pause_s), ("last_pause_s", last_pause_s)):
        check_number(name, value, 0.02, _LONGEST_S)
    images = [Image.fromarray(frame) for frame in _checked(frames)]
    film = film_bytes(images, path.suffix[1:], pause_s=pause_s, last_pause_s=last_pause_s)
    with atomic_path(path) as temporary:
        temporary.write_bytes(film)
    return path


def film_bytes(
    images: Sequence[Image.Image],
    kind: str,
    *,
    pause_s: float = PAUSE_S,
    last_pause_s: float = LAST_PAUSE_S,
) -> bytes:
    """The content of a film; arguments as `save_film`'s, with the ending without its dot."""
    from PIL import Image

    kind = kind.upper()
    if kind == "GIF":
        images = [image.quantize(COLOURS, dither=Image.Dither.NONE) for image in images]
    pauses = [round(pause_s * 1000)] * (len(images) - 1) + [round(last_pause_s * 1000)]
    first, *others = images
    file = io.BytesIO()
    first.save(
        file,
        kind,
        save_all=True,
        append_images=others,
        duration=pauses if others else pauses[0],
        loop=0,
        **_LOSSLESS[kind],
    )
    return file.getvalue()


def _checked(frames: Sequence[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.uint8]]:
    if not isinstance(frames, Sequence) or not frames:
        raise InvalidArgumentError(
            f"frames={shown(frames)} must be a list of pictures: what render() gives after an "
            "episode with render_mode='rgb_array_list'."
        )
    arrays = [np.asarray(frame) for frame in frames]
    for i, array in enumerate(arrays):
        picture = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
        if not picture or array.shape != arrays[0].shape:
            raise InvalidArgumentError(
                f"frames[{i}]={shown(array)} must be an array (height, width, 3) of uint8, and all "
                f"of one shape; the first has shape {arrays[0].shape}."
            )
    return arrays
