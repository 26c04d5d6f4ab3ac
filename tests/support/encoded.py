"""Small objects of every transfer syntax, bit depth, sign and photometric interpretation, with the values they hold.

One series of many codecs: each object is one image of it, so that a single page of the viewer decodes them all."""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

from app.dicom import syntaxes
from app.imaging import PixelSpec, browser, rle
from app.imaging.native import Samples
from tests.imaging.support import stored_frame

ROWS, COLUMNS = 24, 32
Encode = Callable[[Samples, int], bytes]


@dataclass(frozen=True)
class Encoded:
    """One object. values: its stored values, (rows, columns) or RGB; None where the codec loses some of them."""

    name: str
    dataset: Dataset
    values: Samples | None


def samples(bits: int, signed: bool, components: int = 1) -> Samples:
    """A smooth picture that uses the whole range, its ends included, and a corner of noise."""
    random = np.random.default_rng(bits * 10 + components)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    down, across = np.mgrid[0:ROWS, 0:COLUMNS]
    planes = []
    for n in range(components):
        wave = (np.sin(down / (5 + n)) + np.cos(across / (7 - n))) / 4 + 0.5
        plane = low + np.rint(wave * (high - low))
        plane[:6, :8] = random.integers(low, high, (6, 8), endpoint=True)
        plane[0, 0], plane[0, 1] = low, high
        planes.append(np.clip(plane, low, high))
    kind = "i" if signed else "u"
    array = np.stack(planes, axis=-1).astype(f"{kind}{1 if bits <= 8 else 2 if bits <= 16 else 4}")
    return array if components > 1 else array[:, :, 0]


def bare(array: Samples, bits: int) -> Samples:
    """Signed values as words of Bits Stored, as JPEG and JPEG-LS carry them (PS3.5 8.2.1, 8.2.3)."""
    words = array.view(f"u{array.dtype.itemsize}")
    return words if bits == array.dtype.itemsize * 8 else words & words.dtype.type((1 << bits) - 1)


def _jpeg(array: Samples, bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(bare(array, bits), 95, bitspersample=bits))


def _jpeg_lossless(predictor: int) -> Encode:
    def encode(array: Samples, bits: int) -> bytes:
        plain = {} if array.ndim == 2 else {"colorspace": "RGB", "outcolorspace": "RGB"}
        return bytes(
            imagecodecs.jpeg8_encode(bare(array, bits), lossless=True, predictor=predictor, bitspersample=bits, **plain)
        )

    return encode


def _jpeg_ls(near: int) -> Encode:
    return lambda array, bits: bytes(imagecodecs.jpegls_encode(bare(array, bits), near))


def _j2k(lossless: bool) -> Encode:
    def encode(array: Samples, bits: int) -> bytes:
        level = 0 if lossless else 60
        return bytes(
            imagecodecs.jpeg2k_encode(
                array, level, codecformat="j2k", reversible=lossless, bitspersample=bits, mct=array.ndim == 3
            )
        )

    return encode


def _htj2k(lossless: bool) -> Encode:
    def encode(array: Samples, bits: int) -> bytes:
        return bytes(imagecodecs.htj2k_encode(array, None if lossless else 0.001, reversible=lossless))

    return encode


RETIRED_EXTENDED = ("1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")  # PS3.5 of 1998, A.4.1
# transfer syntax: (encoder, whether it keeps every value, depths)
COMPRESSED: dict[str, tuple[Encode, bool, tuple[int, ...]]] = {
    syntaxes.RLE: (lambda array, bits: rle.encode(array.view(f"u{array.dtype.itemsize}")), True, (8, 10, 12, 16)),
    syntaxes.JPEG_BASELINE: (_jpeg, False, (8,)),
    syntaxes.JPEG_EXTENDED: (_jpeg, False, (8, 12)),
    RETIRED_EXTENDED[0]: (_jpeg, False, (8, 12)),
    RETIRED_EXTENDED[1]: (_jpeg, False, (8, 12)),
    syntaxes.JPEG_LOSSLESS: (_jpeg_lossless(4), True, (8, 10, 12, 16)),
    syntaxes.JPEG_LOSSLESS_SV1: (_jpeg_lossless(1), True, (8, 10, 12, 16)),
    syntaxes.JPEG_LS: (_jpeg_ls(0), True, (8, 10, 12, 16)),
    syntaxes.JPEG_LS_NEAR: (_jpeg_ls(2), False, (8, 10, 12, 16)),
    syntaxes.J2K_LOSSLESS: (_j2k(True), True, (8, 10, 12, 16)),
    syntaxes.J2K: (_j2k(False), False, (8, 10, 12, 16)),
    syntaxes.HTJ2K_LOSSLESS: (_htj2k(True), True, (8, 16)),
    syntaxes.HTJ2K_LOSSLESS_RPCL: (_htj2k(True), True, (8, 16)),
    syntaxes.HTJ2K: (_htj2k(False), False, (8, 16)),
}
NATIVE = (syntaxes.IMPLICIT_LE, syntaxes.EXPLICIT_LE, syntaxes.DEFLATED_LE, syntaxes.EXPLICIT_BE)


class Series:
    """Makes the objects of one series, numbered in the order they are asked for."""

    def __init__(self) -> None:
        self.study, self.uid = generate_uid(), generate_uid()
        self._count = 0

    def make(
        self,
        name: str,
        syntax: str,
        pixels: bytes,
        *,
        bits: int,
        signed: bool = False,
        photometric: str = "MONOCHROME2",
        planar: int | None = None,
        allocated: int | None = None,
        keyword: str = "PixelData",
        values: Samples | None = None,
        **more: Any,
    ) -> Encoded:
        self._count += 1
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.2"
        ds.SOPInstanceUID = generate_uid()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study, self.uid
        ds.PatientName, ds.PatientID, ds.Modality = "Codec^Every", "CODECS", "OT"
        ds.InstanceNumber, ds.SeriesNumber = self._count, 1
        ds.Rows, ds.Columns = ROWS, COLUMNS
        ds.SamplesPerPixel = 3 if planar is not None else 1
        ds.PhotometricInterpretation = photometric
        if planar is not None:
            ds.PlanarConfiguration = planar
        ds.BitsAllocated = allocated or (8 if bits <= 8 else 16 if bits <= 16 else bits)
        if keyword == "PixelData":
            ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, int(signed)
        native = syntaxes.is_native(syntax)
        value = pixels if native else encapsulate([pixels])
        value += b"\0" * (len(value) % 2)
        setattr(ds, keyword, value)
        if keyword == "PixelData":
            ds["PixelData"].VR = "OW" if native and ds.BitsAllocated > 8 else "OB"
            ds["PixelData"].is_undefined_length = not native
        for attribute, content in more.items():
            setattr(ds, attribute, content)
        return Encoded(name, ds, values)


def part10(ds: Dataset) -> bytes:
    out = BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def zipped(every: Iterable[Encoded]) -> bytes:
    """All of them in one archive, for one import."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n, one in enumerate(every):
            archive.writestr(f"{n}.dcm", part10(one.dataset))
    return out.getvalue()


def server_values(one: Encoded) -> Samples:
    """What the server decodes of it, as the viewer holds it. Raises ImagingError."""
    ds = pydicom.dcmread(BytesIO(part10(one.dataset)))
    spec = PixelSpec.from_dataset(ds)
    form, data = browser.decoded(stored_frame(ds, spec), spec)
    if form == browser.Form.RGB:
        return np.frombuffer(data, np.uint8).reshape(ROWS, COLUMNS, 3)
    kind = "f4" if form == browser.Form.FLOATS else f"{'i' if spec.signed else 'u'}{len(data) // ROWS // COLUMNS}"
    return np.frombuffer(data, f"<{kind}").reshape(ROWS, COLUMNS)


def every(series: Series) -> Iterator[Encoded]:
    """Codecs by depth, sign and photometric interpretation, then the native layouts."""
    yield from _compressed_grey(series)
    yield from _compressed_colour(series)
    yield from _native(series)
    yield from _contradicting(series)
    yield _words_of_bytes(series)


def _compressed_grey(series: Series) -> Iterator[Encoded]:
    for syntax, (encode, exact, depths) in COMPRESSED.items():
        for bits in depths:
            for signed in (False, True):
                for photometric in ("MONOCHROME2", "MONOCHROME1") if bits == depths[-1] else ("MONOCHROME2",):
                    array = samples(bits, signed)
                    name = f"{syntax[18:]} {bits} {'signed' if signed else 'unsigned'} {photometric}"
                    yield series.make(
                        name,
                        syntax,
                        encode(array, bits),
                        bits=bits,
                        signed=signed,
                        photometric=photometric,
                        values=array if exact else None,
                    )


def _compressed_colour(series: Series) -> Iterator[Encoded]:
    rgb = samples(8, False, 3)
    planes = np.ascontiguousarray(rgb)
    for planar in (0, 1):
        for syntax in (syntaxes.RLE, syntaxes.JPEG_LOSSLESS, syntaxes.JPEG_LOSSLESS_SV1, syntaxes.JPEG_LS):
            yield series.make(
                f"{syntax[18:]} RGB planar {planar}",
                syntax,
                COMPRESSED[syntax][0](planes, 8),
                bits=8,
                photometric="RGB",
                planar=planar,
                values=rgb,
            )
            yield series.make(
                f"{syntax[18:]} YBR_FULL planar {planar}",
                syntax,
                COMPRESSED[syntax][0](planes, 8),
                bits=8,
                photometric="YBR_FULL",
                planar=planar,
            )
    for syntax, lossless in (
        (syntaxes.J2K_LOSSLESS, True),
        (syntaxes.HTJ2K_LOSSLESS, True),
        (syntaxes.HTJ2K_LOSSLESS_RPCL, True),
        (syntaxes.J2K, False),
        (syntaxes.HTJ2K, False),
    ):
        for photometric in ("YBR_RCT" if lossless else "YBR_ICT", "RGB", "YBR_FULL"):
            encoded = COMPRESSED[syntax][0](rgb, 8)
            yield series.make(
                f"{syntax[18:]} {photometric}",
                syntax,
                encoded,
                bits=8,
                photometric=photometric,
                planar=0,
                values=rgb if lossless else None,
            )
    yield from _jpeg_colour(series)
    yield from _no_transform(series)


def _no_transform(series: Series) -> Iterator[Encoded]:
    """JPEG 2000 without component transform: what the samples are, only the header says."""
    rgb = samples(8, False, 3)
    plain = bytes(imagecodecs.jpeg2k_encode(rgb, 0, codecformat="j2k", reversible=True, mct=False))
    fast = bytes(imagecodecs.htj2k_encode(np.ascontiguousarray(rgb.transpose(2, 0, 1)), planar=True, reversible=True))
    for syntax, encoded in ((syntaxes.J2K_LOSSLESS, plain), (syntaxes.HTJ2K_LOSSLESS, fast)):
        for photometric in ("RGB", "YBR_FULL", "YBR_RCT"):
            yield series.make(
                f"{syntax[18:]} no transform {photometric}",
                syntax,
                encoded,
                bits=8,
                photometric=photometric,
                planar=0,
            )


def _jpeg_colour(series: Series) -> Iterator[Encoded]:
    """DCT JPEG with every marker that names its colours, under every photometric interpretation."""
    rgb = samples(8, False, 3)
    ycc = bytes(imagecodecs.jpeg8_encode(rgb, 95, subsampling="444"))
    half = bytes(imagecodecs.jpeg8_encode(rgb, 95, subsampling="422"))
    raw = bytes(imagecodecs.jpeg8_encode(rgb, 95, colorspace="RGB", outcolorspace="RGB"))
    streams = {
        "JFIF": ycc,
        "JFIF 4:2:2": half,
        "none": without_markers(ycc),
        "none 4:2:2": without_markers(half),
        "Adobe RGB": raw,
        "none, RGB inside": without_markers(raw),
        "Adobe YCbCr": adobe(without_markers(ycc), 1),
    }
    for syntax in (syntaxes.JPEG_BASELINE, syntaxes.JPEG_EXTENDED):
        for marker, stream in streams.items():
            for photometric in ("RGB", "YBR_FULL", "YBR_FULL_422"):
                yield series.make(
                    f"{syntax[18:]} {marker} {photometric}", syntax, stream, bits=8, photometric=photometric, planar=0
                )


def segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, whole segment) of a JPEG up to its first scan, and then the rest as one."""
    at = 2
    while stream[at + 1] != 0xDA:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        yield stream[at + 1], stream[at : at + 2 + length]
        at += 2 + length
    yield 0xDA, stream[at:]


def without_markers(stream: bytes) -> bytes:
    """A JPEG without JFIF and Adobe segments, as most modalities write it; components numbered 1, 2, 3."""
    kept = [segment for marker, segment in segments(stream) if not 0xE0 <= marker <= 0xEF]
    out = b"\xff\xd8" + b"".join(kept)
    if b"\x52\x11\x00\x47\x11\x00\x42\x11\x00" in out:
        out = out.replace(b"\x52\x11\x00\x47\x11\x00\x42\x11\x00", b"\x01\x11\x00\x02\x11\x00\x03\x11\x00")
        scan = out.index(b"\xff\xda")
        out = out[:scan] + out[scan:].replace(b"\x03\x52\x00\x47\x00\x42\x00", b"\x03\x01\x00\x02\x00\x03\x00", 1)
    return out


def adobe(stream: bytes, transform: int) -> bytes:
    """The same with an Adobe segment that names its colour transform."""
    return stream[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform]) + stream[2:]


def _native(series: Series) -> Iterator[Encoded]:
    for syntax in NATIVE:
        order = ">" if syntax == syntaxes.EXPLICIT_BE else "<"
        for bits in (8, 10, 12, 16, 32):
            for signed in (False, True):
                array = samples(min(bits, 24), signed).astype(f"{'i' if signed else 'u'}{4 if bits > 16 else 2}")
                array = array if bits > 8 else samples(8, signed)
                words = bare(array, bits)
                yield series.make(
                    f"{syntax[18:]} {bits} {'signed' if signed else 'unsigned'}",
                    syntax,
                    words.astype(words.dtype.newbyteorder(order)).tobytes(),
                    bits=bits,
                    signed=signed,
                    values=array,
                )
        yield series.make(
            f"{syntax[18:]} 1 bit",
            syntax,
            _bits(samples(8, False) > 99),
            bits=1,
            allocated=1,
            values=(samples(8, False) > 99).astype(np.uint8),
        )
        for keyword, width in (("FloatPixelData", 4), ("DoubleFloatPixelData", 8)):
            array = (samples(16, True) / 7).astype(f"f{width}")
            yield series.make(
                f"{syntax[18:]} {keyword}",
                syntax,
                array.astype(array.dtype.newbyteorder(order)).tobytes(),
                bits=width * 8,
                keyword=keyword,
                values=array.astype(np.float32),
            )
        yield series.make(
            f"{syntax[18:]} FloatPixelData with Bits Stored",
            syntax,
            (samples(16, True) / 7).astype(f"{order}f4").tobytes(),
            bits=32,
            keyword="FloatPixelData",
            values=(samples(16, True) / 7).astype(np.float32),
            BitsStored=32,
            HighBit=31,
            PixelRepresentation=0,
        )
        rgb = samples(8, False, 3)
        for planar, pixels in ((0, rgb), (1, np.ascontiguousarray(rgb.transpose(2, 0, 1)))):
            for photometric in ("RGB", "YBR_FULL"):
                yield series.make(
                    f"{syntax[18:]} {photometric} planar {planar}",
                    syntax,
                    pixels.tobytes(),
                    bits=8,
                    photometric=photometric,
                    planar=planar,
                    values=rgb if photometric == "RGB" else None,
                )
        half = np.stack([rgb[:, 0::2, 0], rgb[:, 1::2, 0], rgb[:, 0::2, 1], rgb[:, 0::2, 2]], axis=-1)
        yield series.make(
            f"{syntax[18:]} YBR_FULL_422", syntax, half.tobytes(), bits=8, photometric="YBR_FULL_422", planar=0
        )


def _words_of_bytes(series: Series) -> Encoded:
    """8 bits in the words of VR OW, which big endian swaps (PS3.5 Annex A.3)."""
    array = samples(8, False)
    one = series.make(
        "2 8 bits in OW", syntaxes.EXPLICIT_BE, array.view("<u2").byteswap().tobytes(), bits=8, values=array
    )
    one.dataset["PixelData"].VR = "OW"
    return one


def _bits(picture: Samples) -> bytes:
    return np.packbits(picture.reshape(-1), bitorder="little").tobytes()


def _contradicting(series: Series) -> Iterator[Encoded]:
    """Code streams that are not what the header says, in depth, sign, kind, size or completeness."""
    narrow, wide = samples(12, False), samples(16, False)
    for syntax in (syntaxes.JPEG_LOSSLESS_SV1, syntaxes.JPEG_LS, syntaxes.J2K_LOSSLESS, syntaxes.HTJ2K_LOSSLESS):
        encode = COMPRESSED[syntax][0]
        for signed in (False, True):
            array = samples(12, signed)
            words = array if "2.4.9" in syntax or "2.4.2" in syntax else bare(array, 16)
            name = f"{syntax[18:]} 16 bits with Bits Stored 12 {'signed' if signed else 'unsigned'}"
            yield series.make(name, syntax, encode(words, 16), bits=12, signed=signed, values=array)
        yield series.make(
            f"{syntax[18:]} 12 bits in Bits Stored 16", syntax, encode(narrow, 12), bits=16, values=narrow
        )
        yield series.make(f"{syntax[18:]} 8 bits in 16", syntax, encode(samples(8, False), 8), bits=8, allocated=16)
        yield series.make(f"{syntax[18:]} unsigned, header signed", syntax, encode(wide, 16), bits=16, signed=True)
        yield series.make(f"{syntax[18:]} signed, header unsigned", syntax, encode(samples(16, True), 16), bits=16)
        yield series.make(f"{syntax[18:]} cut", syntax, encode(wide, 16)[:-200], bits=16)
    for predictor in (2, 3, 5, 6, 7):
        stream = _jpeg_lossless(predictor)(narrow, 12)
        yield series.make(f"4.57 predictor {predictor}", syntaxes.JPEG_LOSSLESS, stream, bits=12, values=narrow)
    grey = samples(8, False)
    streams = {uid: COMPRESSED[uid][0](grey, 8) for uid in COMPRESSED if uid != syntaxes.RLE}
    for claimed in (
        syntaxes.JPEG_BASELINE,
        syntaxes.JPEG_LOSSLESS_SV1,
        syntaxes.JPEG_LS,
        syntaxes.J2K_LOSSLESS,
        syntaxes.HTJ2K_LOSSLESS,
    ):
        for really, stream in streams.items():
            if really != claimed:
                yield series.make(f"{claimed[18:]} that is {really[18:]}", claimed, stream, bits=8)
    quarter = bytes(imagecodecs.jpeg8_encode(samples(8, False, 3), 95, subsampling="420"))
    yield series.make("4.50 4:2:0", syntaxes.JPEG_BASELINE, quarter, bits=8, photometric="YBR_FULL_422", planar=0)
    runs = rle.encode(wide)
    yield series.make("RLE cut", syntaxes.RLE, runs[: len(runs) // 2], bits=16)
    yield series.make("RLE of one segment", syntaxes.RLE, rle.encode(grey), bits=16)
    yield series.make("RLE, bits around the stored ones", syntaxes.RLE, rle.encode(wide), bits=12, HighBit=13)
    deep = samples(16, False, 3)
    yield series.make("RGB of 16 bits", syntaxes.RLE, rle.encode(deep), bits=16, photometric="RGB", planar=0)
    yield series.make(
        "native RGB of 16 bits", syntaxes.EXPLICIT_LE, deep.tobytes(), bits=16, photometric="RGB", planar=0
    )
