"""The same pixels in another transfer syntax, never changed on the way (PS3.5 Annex A; PS3.18 8.7.3.4)."""

from collections.abc import Callable

import numpy as np

from app.dicom import syntaxes
from app.imaging import colour, cost, native, rle
from app.imaging.decode import Decoded, decode, memory_needed
from app.imaging.errors import CannotTranscode
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.kit.phrases import phrase

_RCT = syntaxes.J2K_ALL | syntaxes.HTJ2K_ALL


def can_transcode(spec: PixelSpec, target_uid: str) -> bool:
    """Whether frames of this kind can be given in the target syntax; does not warn about damaged ones."""
    if target_uid == spec.transfer_syntax_uid:
        return True
    if target_uid not in syntaxes.TARGETS or spec.transfer_syntax_uid in syntaxes.VIDEO:
        return False
    if syntaxes.is_native(target_uid):
        return True
    if spec.kind != "int" or spec.bits_allocated == 1:
        return False
    return spec.bits_allocated in (8, 16, 32) if target_uid == syntaxes.RLE else spec.bits_allocated in (8, 16)


def transcode_frame(frame: bytes, spec: PixelSpec, target_uid: str, bit_offset: int = 0) -> bytes:
    """One frame in the target transfer syntax; lossless from here on, whatever it was before.

    Colour comes by pixel; which photometric interpretation it then has says `photometric_after`.
    Raises CannotTranscode where the target cannot carry the pixels, CannotDecode where they are damaged."""
    if target_uid == spec.transfer_syntax_uid and bit_offset == 0:
        return frame
    if not can_transcode(spec, target_uid):
        raise CannotTranscode(
            phrase("The pixel data cannot be converted to the transfer syntax {target_uid}.", target_uid=target_uid)
        )
    if spec.native and syntaxes.is_native(target_uid):
        return _reordered(frame, spec, target_uid, bit_offset)
    need = cost.encoding_cost(spec, target_uid)
    cost.require_memory(len(frame), need, spec)
    with cost.ROOM.of(max(need, memory_needed(frame, spec))):
        return _encoded(frame, spec, target_uid, bit_offset)


def _reordered(frame: bytes, spec: PixelSpec, target_uid: str, bit_offset: int) -> bytes:
    """A native frame in the byte order of another native syntax: planes, 4:2:2 chroma and bits beside the stored ones stay
    as they are, so that its attributes still describe it. What is missing of it is zero."""
    if spec.bits_allocated == 1:
        return native.align_bits(frame, bit_offset, spec.frame_bits)
    if spec.swapped:
        longer = len(frame) > spec.frame_bytes + 1  # 4:4:4 under a 4:2:2 label
        frame = native.swapped(frame)[: len(frame) if longer else spec.frame_bytes]
    frame = frame.ljust(spec.frame_bytes, b"\0")
    to_big = target_uid == syntaxes.EXPLICIT_BE
    if spec.bits_allocated > 8 and to_big != (spec.transfer_syntax_uid in syntaxes.BIG_ENDIAN):
        width = spec.bits_allocated // 8
        return np.frombuffer(frame, f"u{width}", len(frame) // width).byteswap().tobytes()
    return frame + b"\0" if to_big and len(frame) % 2 else frame


def _encoded(frame: bytes, spec: PixelSpec, target_uid: str, bit_offset: int) -> bytes:
    decoded = decode(frame, spec, bit_offset)
    words, values = _kept(decoded, spec)
    if syntaxes.is_native(target_uid):
        return _native(words, spec, target_uid)
    if target_uid == syntaxes.RLE:
        return rle.encode(words)
    encoder = _ENCODERS[target_uid]
    return encoder(words, values, spec, photometric_after(spec, target_uid) == "YBR_RCT")


def described_frame(frame: bytes, spec: PixelSpec) -> bytes:
    """A compressed frame as native little endian by the object's own attributes, for who reads them beside it: colours
    that a codec has turned to RGB are turned back, chroma is halved where it is required.

    Raises CannotDecode. Halving needs an even number of columns; an odd one gets 4:4:4, which follows from its
    length."""
    wanted = spec.photometric
    if spec.native or not wanted.startswith(("YBR_FULL", "YBR_PARTIAL")) or spec.bits_allocated not in (8, 16):
        return transcode_frame(frame, spec, syntaxes.EXPLICIT_LE)
    need = cost.encoding_cost(spec, syntaxes.EXPLICIT_LE)
    cost.require_memory(len(frame), need, spec)
    with cost.ROOM.of(max(need, memory_needed(frame, spec))):
        decoded = decode(frame, spec)
        words, photometric = _kept(decoded, spec)[0], decoded.photometric
        del decoded
        if photometric.removesuffix("_422") != wanted.removesuffix("_422"):
            words = colour.from_rgb(colour.to_rgb(words, photometric, spec.bits_stored), wanted, spec.bits_stored)
        if wanted.endswith("422") and spec.columns % 2 == 0:
            return native.pack(colour.halved_chroma(words), spec.bits_allocated, False)
        return _native(words, spec, syntaxes.EXPLICIT_LE)


def photometric_after(spec: PixelSpec, target_uid: str) -> str:
    """Photometric Interpretation of transcoded frames (PS3.5 8.2): codecs undo their colour transforms, 4:2:2 is spread."""
    if target_uid == spec.transfer_syntax_uid or not spec.colour or (spec.native and syntaxes.is_native(target_uid)):
        return spec.photometric
    photometric = {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL"}.get(spec.photometric, spec.photometric)
    lossy_jpeg = spec.transfer_syntax_uid in syntaxes.JPEG - {syntaxes.JPEG_LOSSLESS, syntaxes.JPEG_LOSSLESS_SV1}
    xl = spec.transfer_syntax_uid in syntaxes.JPEG_XL
    if xl and (spec.transfer_syntax_uid != syntaxes.JPEG_XL_LOSSLESS or photometric != "YBR_FULL"):
        photometric = "RGB"
    if lossy_jpeg or spec.photometric in ("YBR_ICT", "YBR_RCT"):
        photometric = "RGB"
    return "YBR_RCT" if photometric == "RGB" and target_uid in _RCT else photometric


def _kept(decoded: Decoded, spec: PixelSpec) -> tuple[Samples, Samples]:
    """Words to store and the values they encode.

    Bits around Bits Stored (old overlays) are kept; where there are none, the sign is extended into them."""
    if spec.kind != "int" or spec.bits_allocated == 1:
        return decoded.words, decoded.values
    unsigned = decoded.values.view(f"u{decoded.values.dtype.itemsize}")
    if not spec.native and spec.transfer_syntax_uid != syntaxes.RLE:
        return unsigned, decoded.values
    if np.array_equal(decoded.words, unsigned):
        return decoded.words, decoded.values
    return decoded.words, decoded.words


def planar_after(spec: PixelSpec, target_uid: str) -> int:
    """Planar Configuration of transcoded frames: as the header says it in native ones, else by pixel."""
    return spec.planar if syntaxes.is_native(target_uid) else 0


def _native(words: Samples, spec: PixelSpec, target_uid: str) -> bytes:
    if planar_after(spec, target_uid) == 1 and words.ndim == 3:
        words = np.ascontiguousarray(words.transpose(2, 0, 1))
    data = native.pack(words, spec.bits_allocated, target_uid == syntaxes.EXPLICIT_BE)
    if target_uid == syntaxes.EXPLICIT_BE and spec.bits_allocated == 8 and len(data) % 2:
        data += b"\0"
    return data


def _jpeg_ls(words: Samples, values: Samples, spec: PixelSpec, rct: bool) -> bytes:
    import imagecodecs

    # Noise may grow; the encoder is given the space for it. Signed values travel as bare words (PS3.5 8.2.3).
    return bytes(imagecodecs.jpegls_encode(np.ascontiguousarray(words), 0, out=words.nbytes * 2 + 4096))


def _j2k(words: Samples, values: Samples, spec: PixelSpec, rct: bool) -> bytes:
    import imagecodecs

    precision = spec.bits_stored if values is not words or _fits(words, spec) else spec.bits_allocated
    array = np.ascontiguousarray(values if precision == spec.bits_stored else words)
    return bytes(
        imagecodecs.jpeg2k_encode(array, level=0, codecformat="j2k", reversible=True, bitspersample=precision, mct=rct)
    )


def _htj2k(words: Samples, values: Samples, spec: PixelSpec, rct: bool) -> bytes:
    """OpenJPH writes RPCL order with one tile, as .202 asks for (PS3.5 A.4.13) and .201 allows."""
    import imagecodecs

    array = np.ascontiguousarray(values)
    if spec.colour and not rct:  # planes one by one: the only way to keep the encoder from its colour transform
        return bytes(
            imagecodecs.htj2k_encode(np.ascontiguousarray(array.transpose(2, 0, 1)), planar=True, reversible=True)
        )
    return bytes(imagecodecs.htj2k_encode(array, reversible=True))


def _fits(words: Samples, spec: PixelSpec) -> bool:
    return not spec.signed and spec.bits_stored < spec.bits_allocated and int(words.max()) >> spec.bits_stored == 0


_ENCODERS: dict[str, Callable[[Samples, Samples, PixelSpec, bool], bytes]] = {
    syntaxes.JPEG_LS: _jpeg_ls,
    syntaxes.J2K_LOSSLESS: _j2k,
    syntaxes.HTJ2K_LOSSLESS: _htj2k,
    syntaxes.HTJ2K_LOSSLESS_RPCL: _htj2k,
}
