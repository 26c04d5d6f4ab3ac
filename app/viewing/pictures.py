"""Pictures of frames as files, cached on disk by the object's content and how it is shown."""

import contextlib
import hashlib
import json
import os
import time
from dataclasses import astuple, replace
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset

from app.archive import Archive, cached
from app.archive.frames import Located
from app.imaging import (
    Appearance,
    Display,
    PixelSpec,
    RenderParams,
    Window,
    encode,
    encode_animation,
    opening_window,
    preview_jpeg,
    render_frame,
)
from app.imaging.render import big_endian
from app.kit.errors import AppError
from app.kit.ids import new_id
from app.viewing import appearance
from app.viewing.frames import Frames, spec_of
from app.viewing.states import State

Format = Literal["jpeg", "png", "gif"]
# Of one GIF, in all its frames: a longer loop is thinned. It is held as a whole, a byte for each pixel, while it is made.
MAX_ANIMATED, MAX_ANIMATED_PIXELS = 300, 96 << 20
MAX_GIF_MS = 655_350  # of one frame (GIF89a 23), and of all together: frames that look alike become one
MAX_GIF_SIDE = 2048  # pixels: a slide of a talk; finding 256 colours for more takes seconds
_USED = 86_400.0  # seconds
_VERSION = 2  # raise it when the same request must give another picture


class Pictures:
    """The cache below one folder. Blocking; several processes may share it."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self._archive = archive
        self._cache = folder

    def preview(self, located: Located, header: Dataset, n: int, size: int) -> bytes:
        """A JPEG of frame n, at most size x size. Raises ImagingError, NoFrame."""
        path = self._path(located, ("preview", n, size, *_series_window(header)))
        if (known := _read(path)) is not None:
            return known
        with Frames(self._archive, located) as frames:
            return self._store(path, located, preview_jpeg(frames.read_frame(n), header, size, n))

    def rendered(
        self,
        located: Located,
        header: Dataset,
        n: int,
        params: RenderParams,
        fmt: Format,
        quality: int,
        state: State | None = None,
    ) -> bytes:
        """Frame n as a file, by a presentation state if one is given. Raises ImagingError, NoFrame."""
        how = ("rendered", n, astuple(params), fmt, quality if fmt == "jpeg" else 0, *_series_window(header))
        path = self._path(located, (*how, state.digest) if state else how)
        if (known := _read(path)) is not None:
            return known
        with Frames(self._archive, located) as frames:
            spec = spec_of(header, located.instance)
            presented = None
            if state is not None:
                about = spec or PixelSpec.from_dataset(header)
                presented = state.of(located.instance.sop_instance_uid, about, n)
            image = render_frame(frames.read_frame(n), header, params, n, spec, presented)
        return self._store(path, located, encode(image, fmt, quality))

    def described(self, located: Located, header: Dataset, n: int) -> dict[str, object]:
        """How frame n looks, with its tables and the window it opens with (`appearance.description`), computed from the
        pixels where the header names none. Raises ImagingError, NoFrame."""
        spec = PixelSpec.from_dataset(header, located.instance.transfer_syntax_uid)
        found = Appearance.of(header, spec, n, big_endian(spec))
        return appearance.description(found, self._opening_window(located, spec, found.display, n))

    def _opening_window(self, located: Located, spec: PixelSpec, display: Display, n: int) -> Window | None:
        if display.windows or display.voi_luts:
            return opening_window(b"", spec, display)
        path = self._path(located, ("window", n))
        if (known := _read(path)) is not None:
            return Window(*json.loads(known))
        with Frames(self._archive, located) as frames:
            window = opening_window(frames.read_frame(n), spec, display)
        if window is not None:
            self._store(path, located, json.dumps(astuple(window)).encode())
        return window

    def animated(self, located: Located, header: Dataset, params: RenderParams) -> bytes:
        """All frames as a GIF that loops."""
        params = _within_a_gif(params)
        path = self._path(located, ("animated", astuple(params), *_series_window(header)))
        if (known := _read(path)) is not None:
            return known
        one = located.instance
        count, pixels = max(one.number_of_frames, 1), max(1, (one.rows or 1) * (one.columns or 1))
        shown = min(count, MAX_ANIMATED, max(1, MAX_ANIMATED_PIXELS // pixels))
        step = -(-count // shown)
        spec = spec_of(header, one)
        with Frames(self._archive, located) as frames:
            images = (render_frame(frames.read_frame(n), header, params, n, spec) for n in range(1, count + 1, step))
            return self._store(
                path, located, encode_animation(images, min(_milliseconds(header) * step, MAX_GIF_MS / shown))
            )

    def discard(self, *digests: str) -> None:
        """Nothing of these objects (SHA-256 of their files) stays in the cache."""
        for sha256 in digests:
            cached.discard(self._cache, sha256)

    def _store(self, path: Path, located: Located, data: bytes) -> bytes:
        """Files the picture or what was computed for it; not that of an object which was deleted while it was drawn."""
        if self._has_space(len(data)):
            _write(path, data)
        if not self._archive.store.full_path(located.instance.path).exists():
            cached.discard(self._cache, located.instance.sha256)
        return data

    def _has_space(self, size: int) -> bool:
        """Whether the cache may grow: on a disk that is full up to its reserve a picture is made anew each time."""
        try:
            self._archive.store.require_space(size)
        except (AppError, OSError):
            return False
        return True

    def _path(self, located: Located, how: tuple[object, ...]) -> Path:
        digest = hashlib.sha256(repr((_VERSION, *how)).encode()).hexdigest()[:32]
        return cached.folder_of(self._cache, located.instance.sha256) / digest


def _series_window(header: Dataset) -> tuple[str, ...]:
    """The window of a PET image may come from its series (`drawn_header`) and change while that is arriving."""
    if header.get("Modality") != "PT":
        return ()
    return str(header.get("WindowCenter")), str(header.get("WindowWidth"))


def limit_cache(cache: Path, most: int) -> int:
    """Takes the pictures away that were not looked at for longest until at most `most` bytes are left; how many went.
    Another process may read or write there meanwhile: a picture that is gone is made again."""
    found: list[tuple[float, int, Path]] = []
    for path in (cache / cached.FOLDER).glob("*/*/*"):
        with contextlib.suppress(OSError):
            about = path.stat()
            found.append((about.st_mtime, about.st_size, path))
    left, removed = sum(size for _, size, _ in found), 0
    for _, size, path in sorted(found):
        if left <= most:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            left, removed = left - size, removed + 1
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # when it was the last one
    return removed


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _USED:
                os.utime(file.fileno())  # `limit_cache` goes by it; once a day is enough
            return file.read()
    except OSError:
        return None


def _write(path: Path, data: bytes) -> None:
    """A full disk costs the cache, never the answer."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{new_id()}")
        temporary.touch(0o600)
        temporary.write_bytes(data)
        temporary.replace(path)


def _within_a_gif(params: RenderParams) -> RenderParams:
    if params.size is None:
        return replace(params, size=(MAX_GIF_SIDE, MAX_GIF_SIDE), upscale=False)
    rows, columns = params.size
    return replace(params, size=(min(rows, MAX_GIF_SIDE), min(columns, MAX_GIF_SIDE)))


def _milliseconds(header: Dataset) -> float:
    for keyword, per_second in (("RecommendedDisplayFrameRate", True), ("CineRate", True), ("FrameTime", False)):
        with contextlib.suppress(TypeError, ValueError):
            value = float(header.get(keyword) or 0)
            if value > 0:
                return 1000 / value if per_second else value
    return 100.0
