"""Memory cost of a frame, computed before decoding, and the limit.

Measured per codec as the peak of a process over what it held before (bytes per pixel; `make bench` shows the peak of
the roles). An input of up to 10 MB may not take more than 200 MB in any role: what draws it gets 120 of them, what
reads, holds and answers it the rest, of which 40 stay free."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.dicom import syntaxes
from app.imaging.codestream import Codestream
from app.imaging.errors import FrameTooLarge
from app.imaging.spec import PixelSpec
from app.kit import memory
from app.kit.phrases import phrase

FREE = 120 << 20  # bytes of memory any frame may cost
_SENT, _MORE = 10 << 20, 16  # and this many more for each byte of a frame beyond 10 MB
MAX_HALVED = 5  # 1/32 of a side: a frame that is still too large is not a picture
_GIVE_BACK = 64 << 20  # bytes drawn in all; after less the pages would only be asked for again by the next picture
_VIEWER = (
    "Request a smaller image or open it in the viewer, which decodes large images in the browser. The stored "
    "object is not changed."
)
_ELSEWHERE = "Download the object to open it in another program. The stored object is not changed."
_TURN = 1.25  # a picture being turned or scaled, beside itself, per sample
_TURN_COLOUR = 1.1  # the same: one sample after the other is scaled


def memory_limit(sent: int) -> int:
    """Bytes of memory that may be spent on a frame of `sent` stored bytes."""
    return FREE + _MORE * max(0, sent - _SENT)


def _pixels(spec: PixelSpec, halved: int) -> int:
    side = 1 << halved
    return -(-spec.rows // side) * -(-spec.columns // side)


def _word(spec: PixelSpec) -> int:
    return max(1, spec.bits_allocated // 8)


def decoding_cost(spec: PixelSpec, head: Codestream | None = None, halved: int = 0) -> int:
    """Bytes at the peak of decoding. head: of a compressed frame; None: native, RLE or deflated."""
    plain = _word(spec) * spec.samples
    if head is None:
        # A short frame beside its padded copy, planes beside pixels, a deflated frame or a segment of runs while it grows.
        each = 2.0 * plain + (2.0 if spec.transfer_syntax_uid == syntaxes.RLE else 0.0)
    elif head.family == "j2k" and not (head.high_throughput and head.reversible):
        each = (4.0 + _word(spec)) * spec.samples + 0.8  # OpenJPEG counts in 32 bits
    elif head.family == "jpeg-xl":
        each = plain + _jpeg_xl(head)
    elif head.family == "jpeg-ls":
        each = plain * (1.0 if spec.samples == 1 else 2.0)
    elif head.several_scans:
        each = plain + 2.0 * spec.samples  # all coefficients are held until the last
    else:
        each = plain + 0.3 * spec.samples
    return int(each * _pixels(spec, halved))


def _jpeg_xl(head: Codestream) -> float:
    """Bytes a pixel beside the samples. libjxl draws in groups; what it holds of the whole are the values of modular frames (for
    squeezed ones once more for one channel) and the coefficients of three channels where they come in several passes."""
    if head.compound:
        return 13.0  # several frames: the limit of the process that decodes them
    if head.modular:
        return 4.0 * (head.components + 1) + 0.5
    return 16.5 if head.several_scans else 4.5


def display_cost(spec: PixelSpec, halved: int = 0) -> int:
    """Bytes at the peak of drawing what has been decoded: the values, their greys, and the picture being turned."""
    if spec.samples > 1:
        each = _word(spec) * spec.samples + 3 * _TURN_COLOUR + (0 if spec.bits_stored == 8 else 3)
    elif spec.photometric == "PALETTE COLOR":
        each = _word(spec) + 3 * (1 + _TURN)
    else:
        each = _word(spec) + 1 + _TURN
    return int(each * _pixels(spec, halved))


def drawing_cost(spec: PixelSpec, head: Codestream | None, halved: int = 0) -> int:
    """Bytes at the peak from the stored frame to a picture; of a deflated object the inflated frame, which is held, too."""
    held = spec.frame_bytes if spec.transfer_syntax_uid == syntaxes.DEFLATED_LE else 0
    return held + max(decoding_cost(spec, head, halved), display_cost(spec, halved))


def encoding_cost(spec: PixelSpec, target_uid: str) -> int:
    """Bytes at the peak of encoding decoded samples in another transfer syntax, these samples included."""
    plain = _word(spec) * spec.samples
    if syntaxes.is_native(target_uid):
        each = 2.2 * plain
    elif target_uid == syntaxes.J2K_LOSSLESS:
        each = plain + 8.0 * spec.samples
    else:
        each = 4.4 * plain
    return int(each * _pixels(spec, 0))


def require_memory(sent: int, need: int, spec: PixelSpec) -> None:
    """Raises FrameTooLarge where `need` bytes of memory are more than a frame of `sent` stored bytes is given."""
    if spec.transfer_syntax_uid == syntaxes.DEFLATED_LE:
        sent = 0  # the inflated size is not the stored size
    if need > memory_limit(sent):
        raise FrameTooLarge(
            phrase(
                (
                    "Rendering an image of {columns} x {rows} pixels requires {need} MB of memory; the limit for an object "
                    "of this size is {most} MB."
                ),
                columns=spec.columns,
                rows=spec.rows,
                need=-(-need >> 20),
                most=memory_limit(sent) >> 20,
            ),
            hint=_ELSEWHERE if spec.transfer_syntax_uid in syntaxes.JPEG_XL else _VIEWER,
        )


class _Room:
    """Memory that all drawing of one process shares: large frames wait for each other, small ones hardly ever."""

    def __init__(self, size: int) -> None:
        self._size, self._taken, self._drawn = size, 0, 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, need: int) -> Iterator[None]:
        need = min(need, self._size)  # one that is larger than all gets all
        with self._changed:
            self._changed.wait_for(lambda: self._taken + need <= self._size)
            self._taken += need
        try:
            yield
        finally:
            with self._changed:
                self._taken -= need
                self._drawn += need
                much = self._drawn > _GIVE_BACK
                self._drawn = 0 if much else self._drawn
                self._changed.notify_all()
            if much:
                memory.release_free_memory()


ROOM = _Room(FREE * max(1, (os.cpu_count() or 1) // 4))
