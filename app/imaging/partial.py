"""Compressed frames that end early: as much of them as their codec can still give."""

import struct

import numpy as np

from app.imaging.codestream import Codestream
from app.imaging.errors import CannotDecode
from app.imaging.native import Samples

WARNING = "The compressed frame is truncated; a part of the image is missing or coarse."
_END = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
_SOT, _SOD = b"\xff\x90", b"\xff\x93"
_EMPTY_PACKETS = bytes(4096)  # a packet of no data is one zero byte (T.800 B.10.3)
_MOST_TILES = 4096


def is_cut(frame: bytes) -> bool:
    """Whether the code stream has no end marker. Zeros behind it are padding."""
    return not frame.rstrip(b"\0").endswith(_END)


def jpeg_ls(frame: bytes, head: Codestream) -> Samples:
    """The lines that were decoded before the stream ended; the others are zero."""
    import imagecodecs

    shape = (head.rows, head.columns) if head.components == 1 else (head.rows, head.columns, head.components)
    out = np.zeros(shape, np.uint8 if head.precision <= 8 else np.uint16)
    try:
        imagecodecs.jpegls_decode(frame + _END, out=out)
    except (ValueError, RuntimeError) as error:
        if not out.any():
            raise CannotDecode("The compressed frame cannot be decoded.") from error
    return out


def j2k(frame: bytes, head: Codestream) -> Samples:
    """The picture by the wavelets that are there.

    What is missing of the last packet is filled with ones, which an arithmetic decoder reads as the end of its data
    (T.800 C.3.4); where more packets are missing, with zeros, which are empty packets."""
    import imagecodecs

    stream = frame[head.start :]
    for fill in (b"\xff", b"\0"):
        try:
            array: Samples = imagecodecs.jpeg2k_decode(_completed(stream, fill, head))
        except (ValueError, RuntimeError):
            continue
        return np.ascontiguousarray(array)
    raise CannotDecode("The compressed frame cannot be decoded.")


def _completed(stream: bytes, fill: bytes, head: Codestream) -> bytes:
    """The stream with its last tile part filled up, and empty tile parts for tiles that never came. Raises CannotDecode."""
    try:
        width, height, _, _, tile_width, tile_height, left, top = struct.unpack_from(">8I", stream, 8)
        tiles = -(-(width - left) // tile_width) * -(-(height - top) // tile_height)
    except (struct.error, ZeroDivisionError):
        raise CannotDecode("The JPEG 2000 frame ends inside its header.") from None
    at, out, seen = stream.find(_SOT), bytearray(stream), set[int]()
    if at < 0 or not 0 < tiles <= _MOST_TILES:
        raise CannotDecode("The JPEG 2000 frame ends inside its header.")
    most = 4 * head.rows * head.columns * head.components
    while at + 12 <= len(stream) and stream[at : at + 2] == _SOT:
        tile, length = struct.unpack_from(">HI", stream, at + 4)
        seen.add(tile)
        if length == 0 or at + length > len(stream):
            out += fill * min(most, max(0, at + length - len(stream)))
            struct.pack_into(">I", out, at + 6, len(out) - at if len(seen) < tiles else 0)
            at = len(out)
            break
        at += length
    del out[at:]
    for tile in range(tiles):
        if tile not in seen:
            out += _SOT + struct.pack(">HHIBB", 10, tile, 14 + len(_EMPTY_PACKETS), 0, 1) + _SOD + _EMPTY_PACKETS
    return bytes(out + _END)
