"""Files made to harm: each a name and a maker that takes a UID root, so that one kind of harm can come in by every interface
as an object of its own."""

import io
import os
import random
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from tests.archive.make import ct, part10

Make = Callable[[str], bytes]
JPEG, J2K, RLE, JPEG_LS = (
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"
)  # fmt: skip
DEFLATED, DEFLATED_FRAME = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"


@dataclass(frozen=True)
class Bad:
    """One way to harm. status: what the archive may answer by the contract (DESIGN part 2); is_zip: for uploads only."""

    name: str
    make: Make
    status: tuple[str, ...] = ("stored",)
    is_zip: bool = False

    def __str__(self) -> str:
        return self.name


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit little endian element; length: a lie."""
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + (struct.pack("<HI", 0, length) if long else struct.pack("<H", length & 0xFFFF)) + value


def dataset(root: str, *, size: int = 32, **more: Any) -> Dataset:
    """A decent CT under UIDs of its own, to be spoilt."""
    pixels = more.pop("pixels", None)
    if pixels is None:
        pixels = np.arange(size * size, dtype="<u2").tobytes()
    more = {"Rows": size, "Columns": size, "PatientID": root, "PatientName": "Hostile^Input"} | more
    return ct(f"{root}.1.1", root, f"{root}.1", pixels=pixels, **more)


def good(root: str) -> bytes:
    """A file with nothing wrong."""
    return part10(dataset(root))


def _made(root: str, **more: Any) -> bytes:
    return part10(dataset(root, **more))


def inserted(root: str, extra: bytes, before: bytes = b"\x28\x00\x02\x00US") -> bytes:
    """Bytes put in before the image's group."""
    data = good(root)
    at = data.index(before)
    return data[:at] + extra + data[at:]


def _tiny_items() -> bytes:
    """A sequence of undefined length with 1.2 million empty items: ten megabytes that mean nothing."""
    return (
        struct.pack("<HH2sHI", 0x0021, 0x1000, b"SQ", 0, 0xFFFFFFFF)
        + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 1_200_000
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )


def replaced(root: str, tag: int, vr: bytes, value: bytes) -> bytes:
    """One element of the good file with another VR or value than any library would write."""
    ds = dataset(root)
    if tag in ds:
        del ds[tag]
    data = part10(ds)
    mark = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    later = [e for e in ds if int(e.tag) > tag]
    at = data.index(
        struct.pack("<HH", later[0].tag.group, later[0].tag.element) + later[0].VR.encode(),
        144 + struct.unpack_from("<I", data, 140)[0],
    )
    return data[:at] + mark + element(tag, vr, value)[4:] + data[at:]


def cut(root: str, part: float) -> bytes:
    data = good(root)
    return data[: int(len(data) * part)]


def nested(root: str, levels: int = 5_000) -> bytes:
    """Sequences of undefined length in sequences."""
    value = (element(0x00081140, b"SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * levels
    return inserted(root, value + (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * levels)


def deflate_bomb(root: str, size: int = 250_000_000, side: int = 11_000) -> bytes:
    """260 KB that inflate to 250 MB of pixels, and a header that agrees."""
    whole = _made(root, syntax=DEFLATED, Rows=side, Columns=side, pixels=b"\0\0")
    start = 144 + struct.unpack_from("<I", whole, 140)[0]
    plain = zlib.decompressobj(-15).decompress(whole[start:])
    head = plain[: plain.index(b"\xe0\x7f\x10\x00")] + element(0x7FE00010, b"OW", b"", size)
    machine = zlib.compressobj(9, wbits=-15)
    parts = [whole[:start], machine.compress(head)]
    for _ in range(size // 1_000_000):
        parts.append(machine.compress(bytes(1_000_000)))
    return b"".join([*parts, machine.flush()])


def compressed(root: str, syntax: str, frame: bytes, *, rows: int, columns: int, bits: int = 8, **more: Any) -> bytes:
    """A frame as some encoder gave it, under a header that may lie."""
    more = {"BitsAllocated": 16 if bits > 8 else 8, "BitsStored": bits, "HighBit": bits - 1} | more
    ds = dataset(root, Rows=rows, Columns=columns, pixels=encapsulate([frame]), **more)
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds["PixelData"].VR = "OB"
    return part10(ds)


def jpeg_that_lies(root: str, rows: int, columns: int, header: tuple[int, int]) -> bytes:
    """A JPEG of 32 x 32 whose frame header says something else."""
    import imagecodecs

    frame = bytearray(imagecodecs.jpeg8_encode(np.zeros((32, 32), np.uint8)))
    at = frame.index(b"\xff\xc0")
    struct.pack_into(">HH", frame, at + 5, rows, columns)
    return compressed(root, JPEG, bytes(frame), rows=header[0], columns=header[1])


def swelling(root: str, syntax: str, side: int, bits: int = 8) -> bytes:
    """A real frame of nothing but one value: little to send, much to decode."""
    import imagecodecs

    flat = np.zeros((side, side), np.uint16 if bits > 8 else np.uint8)
    if syntax == JPEG:
        frame = imagecodecs.jpeg8_encode(flat)
    elif syntax == JPEG_LS:
        frame = imagecodecs.jpegls_encode(flat)
    elif syntax == DEFLATED_FRAME:
        machine = zlib.compressobj(9, wbits=-15)
        frame = machine.compress(flat.tobytes()) + machine.flush()
    else:
        frame = imagecodecs.jpeg2k_encode(flat, codecformat="J2K", reversible=True)
    if syntax == DEFLATED_FRAME:  # pydicom does not write it yet
        data = compressed(root, JPEG, bytes(frame), rows=side, columns=side, bits=bits)
        return swapped_syntax(root, DEFLATED_FRAME, data, JPEG)
    return compressed(root, syntax, bytes(frame), rows=side, columns=side, bits=bits)


def heavy(root: str, syntax: str, side: int, bits: int = 8, samples: int = 1) -> bytes:
    """A real picture with some noise, of a few megabytes, that is large when it is decoded."""
    import imagecodecs

    noise = np.random.default_rng(7)
    line = np.linspace(0, 60, side, dtype=np.float32)
    grey = (np.sin(line)[:, None] * np.cos(line)[None, :] * 0.45 + 0.5) * ((1 << bits) - 1)
    step = 1 if syntax in (J2K, JPEG) else 1 << (bits - 5)  # terraces for what predicts, waves for what transforms
    array = (grey // step * step).astype(np.uint16 if bits > 8 else np.uint8)
    del grey
    array[::16, ::16] ^= noise.integers(0, 4, array[::16, ::16].shape, array.dtype)
    if samples == 3:
        array = np.stack([array, array[::-1], array[:, ::-1]], axis=2)
    more: dict[str, Any] = {}
    if samples == 3:
        more |= {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "YBR_FULL_422"}
    if syntax == JPEG:
        frame = imagecodecs.jpeg8_encode(array, level=75)
    elif syntax == JPEG_LS:
        frame = imagecodecs.jpegls_encode(array)
    elif syntax == DEFLATED:
        return _deflated(root, array)
    else:
        frame = imagecodecs.jpeg2k_encode(array, codecformat="J2K", reversible=True)
    return compressed(root, syntax, bytes(frame), rows=side, columns=side, bits=bits, **more)


def _deflated(root: str, array: "np.ndarray[Any, Any]") -> bytes:
    return _made(
        root, syntax=DEFLATED, Rows=array.shape[0], Columns=array.shape[1], pixels=array.astype("<u2").tobytes()
    )


def cine(root: str, side: int, frames: int) -> bytes:
    """A long loop of large frames, each a few kilobytes."""
    import imagecodecs

    flat = imagecodecs.jpeg8_encode(np.zeros((side, side), np.uint8), level=50)
    ds = dataset(root, Rows=side, Columns=side, pixels=encapsulate([bytes(flat)] * frames), NumberOfFrames=frames,
                 BitsAllocated=8, BitsStored=8, HighBit=7)  # fmt: skip
    ds.file_meta.TransferSyntaxUID = UID(JPEG)
    ds["PixelData"].VR = "OB"
    return part10(ds)


def rle_bomb(root: str, side: int) -> bytes:
    """Runs of 128 for two bytes each."""
    segment = b"\x81\x00" * (side * side // 128 + 1)
    return compressed(root, RLE, struct.pack("<16I", 1, 64, *[0] * 14) + segment, rows=side, columns=side)


def palette_lie(root: str, descriptor: tuple[int, int, int], entries: bytes) -> bytes:
    ds = dataset(root, PhotometricInterpretation="PALETTE COLOR", BitsAllocated=8, BitsStored=8, HighBit=7)
    ds.PixelData = bytes(range(256)) * 4
    for colour in ("Red", "Green", "Blue"):
        ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", list(descriptor))
        ds.add_new(f"{colour}PaletteColorLookupTableData", "OW", entries)
    return part10(ds)


def lut_lie(root: str, sequence: str) -> bytes:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [0, 65535, 255])
    item.add_new("LUTData", "OW", b"\1\2")
    ds = dataset(root)
    setattr(ds, sequence, [item])
    return part10(ds)


def raw_uid(root: str, keyword: str, uid: bytes) -> bytes:
    """The good file with one of its UIDs replaced by anything."""
    tag = {"SOPInstanceUID": 0x00080018, "StudyInstanceUID": 0x0020000D, "SeriesInstanceUID": 0x0020000E}[keyword]
    data, ds = good(root), dataset(root)
    pad = lambda v: v + b"\0" * (len(v) % 2)  # noqa: E731
    old = element(tag, b"UI", pad(str(ds[tag].value).encode()))
    assert old in data
    return data.replace(old, element(tag, b"UI", pad(uid)))


def swapped_syntax(root: str, uid: str, data: bytes = b"", was: str = "1.2.840.10008.1.2.1") -> bytes:
    """The good file (or data) under another Transfer Syntax UID than its bytes are."""
    data = data or good(root)
    old = element(0x00020010, b"UI", was.encode() + b"\0" * (len(was) % 2))
    new = element(0x00020010, b"UI", uid.encode() + b"\0" * (len(uid) % 2))
    length = struct.unpack_from("<I", data, 140)[0] + len(new) - len(old)
    return data[:140] + struct.pack("<I", length) + data[144:].replace(old, new, 1)


def encapsulated_garbage(root: str, size: int = 10_000_000) -> bytes:
    frame = b"\xff\xd8" + random.Random(5).randbytes(size)
    return compressed(root, JPEG, frame, rows=512, columns=512)


def _zip(root: str, fill: Callable[[zipfile.ZipFile], None], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive:
        fill(archive)
        archive.writestr("good.dcm", good(root))
    return out.getvalue()


def _symlink(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


def _lying_zip(root: str) -> bytes:
    data = bytearray(_zip(root, lambda z: z.writestr("liar", os.urandom(3 << 20)), zipfile.ZIP_STORED))
    struct.pack_into("<I", data, data.find(b"PK\x01\x02") + 24, 10)  # uncompressed size
    return bytes(data)


def _folded(root: str) -> bytes:
    """A zip in a zip in a zip."""
    inner = _zip(root + ".9", lambda z: None)
    for _ in range(3):
        held = inner
        inner = _zip(root, partial(_hold, held=held))
    return inner


def _hold(archive: zipfile.ZipFile, held: bytes) -> None:
    archive.writestr("inner.zip", held)


def _uid_cases() -> list[Bad]:
    evil = {
        "path": b"../../../etc/x", "sql": b"1.2'; DROP TABLE study;--", "newline": b"1.2\r\nX: y", "nul": b"1.2\x003.4",
        "long": b"1" * 66,
    }  # fmt: skip
    return [
        Bad(f"uid-{what}-{keyword[:5]}", partial(raw_uid, keyword=keyword, uid=uid), ("refused", "stored", "duplicate"))
        for what, uid in evil.items()
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
        if what in ("path", "nul") or keyword == "StudyInstanceUID"
    ]


def _name_cases() -> list[Bad]:
    texts = {
        "path": b"../../../../etc/passwd^..", "sql": b"Robert'); DROP TABLE patient;--^", "lines": b"a\r\nSet-Cookie: x^b",
        "nul": b"A\0B^C\0", "html": b"<script>alert(1)</script>^\"'onload=", "long": b"x" * 60_000,
        "rtl": "‮gpj.exe^\u200f́".encode(),
    }  # fmt: skip
    return [
        Bad(f"name-{what}", partial(_named, text=text + b" " * (len(text) % 2)), ("stored", "conflict"))
        for what, text in texts.items()
    ]


def _named(root: str, text: bytes) -> bytes:
    data = replaced(root, 0x00100010, b"PN", text)
    old = element(0x00081030, b"LO", b"Chest ")
    assert old in data
    return data.replace(old, element(0x00081030, b"LO", text[:30_000]))


def catalogue() -> list[Bad]:
    """Every kind of harm."""
    refused, either = ("refused",), ("stored", "refused")
    cases = [
        *(Bad(f"cut-{n}", partial(cut, part=n / 12), either) for n in range(1, 12)),
        Bad("empty", lambda _: b"", refused),
        Bad("text", lambda _: b"Dear archive,\n" * 100, refused),
        Bad("html", lambda _: b"<!doctype html><script>alert(1)</script>" * 9, refused),
        Bad("elf", lambda _: b"\x7fELF" + bytes(500), refused),
        Bad("garbage-10mb", lambda _: random.Random(3).randbytes(10_000_000), refused),
        Bad("garbage-behind-dicm", lambda _: bytes(128) + b"DICM" + random.Random(4).randbytes(100_000), refused),
        Bad("length-lies-late", partial(inserted, extra=element(0x00210010, b"UN", b"x", 0x7FFFFFFF))),
        Bad("length-lies-early", partial(inserted, extra=element(0x00080001, b"UN", b"", 0x7FFFFFFF), before=b"\x08\x00\x05\x00CS"), refused),
        Bad("length-undefined", partial(inserted, extra=element(0x00210010, b"UN", b"", 0xFFFFFFFF)), either),
        Bad("deflate-bomb", deflate_bomb),
        Bad("nested-5000", nested),
        Bad("tiny-elements", partial(inserted, extra=b"".join(element(0x00210000 + 0x1000 + n % 0xEFFF, b"SH", b"") for n in range(1_200_000)))),
        Bad("tiny-items", partial(inserted, extra=_tiny_items())),
        *_uid_cases(),
        *_name_cases(),
        Bad("vr-unknown", partial(replaced, tag=0x00280010, vr=b"ZZ", value=b"\x20\0")),
        Bad("vr-rows-text", partial(replaced, tag=0x00280010, vr=b"LO", value=b"many")),
        Bad("vr-name-bytes", partial(replaced, tag=0x00100010, vr=b"OB", value=bytes(range(200)))),
        Bad("vr-date-words", partial(replaced, tag=0x00080020, vr=b"DA", value=b"tomorrow")),
        Bad("vr-number-words", partial(replaced, tag=0x00200013, vr=b"IS", value=b"1e999999")),
        Bad("vr-frames-words", partial(replaced, tag=0x00280008, vr=b"IS", value=b"NaN ")),
        Bad("syntax-unknown", partial(swapped_syntax, uid="1.2.999.10008.1.2.1")),
        Bad("syntax-jpeg-but-native", partial(swapped_syntax, uid=JPEG)),
        Bad("syntax-big-but-little", partial(swapped_syntax, uid="1.2.840.10008.1.2.2")),
        Bad("syntax-no-uid", partial(swapped_syntax, uid="../../etc"), refused),
        Bad("pixels-empty", partial(_made, pixels=b"")),
        Bad("pixels-none", lambda root: part10(ct(f"{root}.1.1", root, f"{root}.1", pixels=None, PatientID=root))),
        Bad("huge-rows", partial(_made, Rows=65535, Columns=65535)),
        Bad("huge-frames", partial(_made, NumberOfFrames=2147483647)),
        Bad("negative-frames", partial(_made, NumberOfFrames=-5)),
        Bad("rows-zero", partial(_made, Rows=0, Columns=0)),
        Bad("bits-12-of-7", partial(_made, BitsAllocated=12, BitsStored=200, HighBit=90)),
        Bad("samples-65535", partial(_made, SamplesPerPixel=65535)),
        Bad("huge-frames-jpeg", lambda root: compressed(root, JPEG, b"\xff\xd8\xff\xd9", rows=65535, columns=65535, NumberOfFrames=2147483647)),
        Bad("jpeg-claims-more", partial(jpeg_that_lies, rows=65500, columns=65500, header=(65500, 65500))),
        Bad("jpeg-disagrees", partial(jpeg_that_lies, rows=4000, columns=4000, header=(32, 32))),
        Bad("jpeg-claims-8000", partial(jpeg_that_lies, rows=8000, columns=8000, header=(8000, 8000))),
        Bad("jpeg-garbage-10mb", encapsulated_garbage),
        Bad("swell-jpeg-8000", partial(swelling, syntax=JPEG, side=8000)),
        Bad("swell-jpeg-20000", partial(swelling, syntax=JPEG, side=20_000)),
        Bad("swell-j2k-5500", partial(swelling, syntax=J2K, side=5500, bits=16)),
        Bad("swell-jls-8000", partial(swelling, syntax=JPEG_LS, side=8000)),
        Bad("swell-rle-8000", partial(rle_bomb, side=8000)),
        # As large as is drawn, and larger: nothing but what a scanner of films may send.
        Bad("heavy-j2k-4600", partial(heavy, syntax=J2K, side=4600, bits=16)),
        Bad("heavy-j2k-8000", partial(heavy, syntax=J2K, side=8000)),
        Bad("heavy-jls-5800", partial(heavy, syntax=JPEG_LS, side=5800, bits=16)),
        Bad("heavy-jpeg-colour-4400", partial(heavy, syntax=JPEG, side=4400, samples=3)),
        Bad("heavy-deflated-4900", partial(heavy, syntax=DEFLATED, side=4900, bits=16)),
        Bad("heavy-bits-8800", lambda root: _made(root, Rows=8800, Columns=8800, BitsAllocated=1, BitsStored=1, HighBit=0, pixels=b"\x5a" * (8800 * 8800 // 8))),
        Bad("heavy-short-14000", lambda root: _made(root, Rows=14_000, Columns=14_000, pixels=b"\x5a" * 9_800_000)),
        Bad("heavy-cine-2000", partial(cine, side=2000, frames=24)),
        Bad("swell-deflated-frame", partial(swelling, syntax=DEFLATED_FRAME, side=8000)),
        Bad("palette-short", partial(palette_lie, descriptor=(0, 0, 16), entries=b"\1\2")),
        Bad("palette-offset", partial(palette_lie, descriptor=(65535, 65535, 16), entries=bytes(100))),
        Bad("palette-bits", partial(palette_lie, descriptor=(256, 0, 200), entries=bytes(512))),
        Bad("voi-lut-lie", partial(lut_lie, sequence="VOILUTSequence")),
        Bad("modality-lut-lie", partial(lut_lie, sequence="ModalityLUTSequence")),
        Bad("charset-rubbish", lambda root: _rubbish(root)),
        Bad("window-rubbish", partial(inserted, extra=element(0x00281050, b"DS", b"NaN\\inf ") + element(0x00281051, b"DS", b"0\\-1e999 "), before=b"\xe0\x7f\x10\x00OW")),
        Bad("spacing-rubbish", partial(inserted, extra=element(0x00280030, b"DS", b"0\\-1 ") , before=b"\x28\x00\x00\x01US")),
        Bad("rescale-rubbish", partial(inserted, extra=element(0x00281052, b"DS", b"1e400 ") + element(0x00281053, b"DS", b"zero"), before=b"\xe0\x7f\x10\x00OW")),
    ]  # fmt: skip
    zips = {
        "slip": lambda z: z.writestr("../../../etc/cron.d/x", b"x"),
        "absolute": lambda z: z.writestr("/tmp/hostile-absolute", b"x"),
        "backslash": lambda z: z.writestr("a\\..\\..\\x", b"x"),
        "symlink": _symlink,
        "bomb": lambda z: z.writestr("bomb.dcm", bytes(300 << 20)),
        "hostile-names": lambda z: (
            [z.writestr(n, b"x") for n in ("a\nb", "<b>", "x" * 30_000, "CON", "\x1b[2J")] and None
        ),
    }
    cases += [Bad(f"zip-{what}", partial(_zip, fill=fill), refused, True) for what, fill in zips.items()]
    cases += [
        Bad("zip-lies", _lying_zip, refused, True),
        Bad("zip-nested", _folded, refused, True),
        Bad("zip-cut", lambda root: _zip(root, lambda z: None)[:-30], refused, True),
        Bad("zip-garbage", lambda _: b"PK\x03\x04" + random.Random(9).randbytes(200_000), refused, True),
    ]
    return cases


def _rubbish(root: str) -> bytes:
    data = replaced(root, 0x00080005, b"CS", b"ISO 2022 IR 999\\NONSENSE\\\x1b$B ")
    return data.replace(b"Chest ", b"\xff\xfe\x1b$\x80\x81")
