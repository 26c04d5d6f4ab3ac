"""PDF/A-3b from a Sheet: texts come typeset with embedded fonts, pictures and lines are drawn here, exactly.

ISO 19005-3. A picture is a stream of the pixels as they are (zlib level 1, no interpolation, no lossy step); its
place is a matrix made from the Sheet's millimetres."""

import hashlib
import io
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pikepdf
from PIL import ImageCms

from app.printing import lines
from app.printing.lines import POINT, Piece, TypesetLine, numbers
from app.printing.press import Press
from app.printing.sheet import Page, Placed, Sheet, Stroke

BATCH = 25  # pages typeset and held in memory together
THREADS = 2  # that make pixels; nearly all of their work is done without Python's lock
Pixels = npt.NDArray[np.uint8]
_TONES = {"ink": "0.067 G", "soft": "0.333 G", "light": "1 G", "letter": "1 G"}


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content: bytes
    mime: str
    description: str


@dataclass(frozen=True, slots=True)
class PdfProperties:
    """Metadata of the file. No patient data: metadata travels further than pages."""

    title: str
    created: datetime
    language: str = "en"


def write(
    sheet: Sheet,
    press: Press,
    pixels: Callable[[Placed], Pixels],
    target: Path,
    about: PdfProperties,
    *,
    attachments: Sequence[Attachment] = (),
    password: str = "",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    require_space: Callable[[int], None] = lambda _size: None,
) -> None:
    """Writes the sheet as PDF/A-3b (encrypted with AES-256 R6 when there is a password: PDF/A once decrypted).

    pixels: the picture's source rectangle, uint8 (rows, columns) or (rows, columns, 3); asked by several threads.
    progress(done, total) is called after each page and may raise to stop; require_space(bytes) before they are written,
    likewise. Raises TypesettingFailed."""
    batches = [sheet.pages[n : n + _batch(sheet)] for n in range(0, len(sheet.pages), _batch(sheet))]
    texts = [lines.distinct(batch) for batch in batches]
    typeset = [press.typeset(some) for some in texts]
    done = 0
    with (
        tempfile.TemporaryDirectory(prefix=".parts-", dir=target.parent) as folder,
        ThreadPoolExecutor(THREADS, "pixels") as threads,
    ):
        whole = pikepdf.new()
        ready = _prefetch(threads, lambda placed: _stream_data(pixels(placed)), _placed(sheet.pages))
        for number, (batch, future) in enumerate(zip(batches, typeset, strict=True)):
            rasters = []
            for page in batch:
                rasters.append([next(ready) for _ in _placed([page])])
                done += 1
                progress(done, len(sheet.pages))
            part = pikepdf.open(io.BytesIO(future.result()))
            [set_page] = part.pages
            fonts, pieces = set_page.Resources.Font, lines.cut(set_page.Contents.read_bytes(), texts[number])
            for page, drawn in zip(batch, rasters, strict=True):
                _draw(part, fonts, pieces, page, sheet, drawn)
            del part.pages[0]
            _recompress(part)
            require_space(sum(len(raster.data) for drawn in rasters for raster in drawn))
            # Parts lie on disk, so that five hundred pages need no more memory than one batch.
            spill = Path(folder) / f"{number}.pdf"
            part.save(spill, compress_streams=False, object_stream_mode=pikepdf.ObjectStreamMode.disable)
            whole.pages.extend(pikepdf.open(spill).pages)
        _make_archival(whole, about, attachments)
        attached = sum(len(one.content) for one in attachments)
        require_space(attached + sum(part.stat().st_size for part in Path(folder).iterdir()))
        whole.save(
            target,
            compress_streams=False,
            object_stream_mode=pikepdf.ObjectStreamMode.disable,
            **_protection(password),
        )


def _placed(pages: Iterable[Page]) -> Iterator[Placed]:
    return (cell.placed for page in pages for cell in page.cells if cell.placed)


def _prefetch(
    threads: ThreadPoolExecutor, work: "Callable[[Placed], _Raster]", items: Iterable[Placed]
) -> "Iterator[_Raster]":
    """The results in order, while the threads are a few items ahead: reading, decoding and packing run without
    waiting."""
    waiting: deque[Future[_Raster]] = deque()
    for item in items:
        waiting.append(threads.submit(work, item))
        if len(waiting) > 2 * THREADS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _batch(sheet: Sheet) -> int:
    """Two batches for anything longer than a few pages, so that two typesetters work side by side."""
    return min(BATCH, max(4, -(-len(sheet.pages) // 2)))


def _protection(password: str) -> dict[str, Any]:
    if not password:
        return {"deterministic_id": True, "force_version": "1.7"}
    # R6 is an extension of 1.7: with a forced version qpdf would leave the encryption out without a word.
    # The owner password is thrown away: only the reader's password opens the file.
    encryption = pikepdf.Encryption(user=password, owner=secrets.token_urlsafe(24), R=6, aes=True, metadata=True)
    return {"encryption": encryption}


# Content ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Raster:
    data: bytes
    rows: int
    columns: int
    colour: bool


def _stream_data(pixels: Pixels) -> _Raster:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise TypeError(f"pixels are {pixels.dtype} with {pixels.ndim} axes; uint8 with 2 or 3 are printed")
    data = deflate(np.ascontiguousarray(pixels).tobytes())
    return _Raster(data, pixels.shape[0], pixels.shape[1], pixels.ndim == 3)


def deflate(data: bytes, level: int = 1) -> bytes:
    """zlib, never ending in a carriage return: readers would take it for the line end before `endstream`.

    The last byte is the checksum's and the same at every level, so a byte goes behind it, which decoders leave unread."""
    packed = bytes(imagecodecs.deflate_encode(data, level))  # libdeflate: half the time of zlib
    return packed + b"\n" if packed.endswith(b"\r") else packed


def _draw(
    pdf: pikepdf.Pdf,
    fonts: pikepdf.Object,
    pieces: Mapping[TypesetLine, Piece],
    what: Page,
    sheet: Sheet,
    rasters: Sequence[_Raster],
) -> None:
    """A page: black cells and pictures (rasters: one for each placed picture, in order), texts, rulers over them, and
    the edges of cells whose image cannot be drawn."""
    under, over = bytearray(b"q\n"), bytearray(b"q\n")
    images = pikepdf.Dictionary()
    with_picture = [(cell, cell.placed) for cell in what.cells if cell.placed]
    for (cell, placed), raster in zip(with_picture, rasters, strict=True):
        under += b"0 g %s re f\n" % _rectangle(cell.box, sheet.height)
        name = f"/Im{cell.index}"
        images[name] = _image(pdf, raster)
        box = placed.box
        matrix = (box.width * POINT, 0, 0, box.height * POINT, box.x * POINT, (sheet.height - box.bottom) * POINT)
        under += b"q %s cm %s Do Q\n" % (numbers(*matrix), name.encode())
    under += b"Q\n"
    for strokes in (*(cell.strokes for cell in what.cells), what.strokes):
        over += _strokes(strokes, sheet.height)
    over += b"Q\n"
    content = bytes(under) + lines.draw(lines.texts_of(what), pieces, sheet.height) + bytes(over)
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=pikepdf.Array([0, 0, _decimal(sheet.width * POINT), _decimal(sheet.height * POINT)]),
        Resources=pikepdf.Dictionary(Font=fonts, XObject=images),
        Contents=pdf.make_stream(deflate(content, 6), Filter=pikepdf.Name.FlateDecode),
    )
    pdf.pages.append(pikepdf.Page(pdf.make_indirect(page)))


def _image(pdf: pikepdf.Pdf, raster: _Raster) -> pikepdf.Object:
    return pdf.make_stream(
        raster.data,
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=raster.columns,
        Height=raster.rows,
        ColorSpace=pikepdf.Name.DeviceRGB if raster.colour else pikepdf.Name.DeviceGray,
        BitsPerComponent=8,
        Filter=pikepdf.Name.FlateDecode,
    )


def _strokes(strokes: Sequence[Stroke], height: float) -> bytes:
    parts = bytearray()
    for edge in (True, False):  # first all dark edges, then the lines: the edges never cross a line
        for s in strokes:
            light = s.tone in ("light", "letter")
            if edge and not light:
                continue
            colour, wide = ("0 G", s.width + 0.4) if edge else (_TONES[s.tone], s.width)
            line = numbers(s.x1 * POINT, (height - s.y1) * POINT), numbers(s.x2 * POINT, (height - s.y2) * POINT)
            parts += b"%s %s w %s m %s l S\n" % (colour.encode(), numbers(wide * POINT), *line)
    return bytes(parts)


def _rectangle(box: Any, height: float) -> bytes:
    return numbers(box.x * POINT, (height - box.bottom) * POINT, box.width * POINT, box.height * POINT)


def _decimal(value: float) -> Decimal:
    return round(Decimal(value), 4)


def _recompress(pdf: pikepdf.Pdf) -> None:
    """Every stream is packed by us, so that none ends in a carriage return and qpdf has nothing left to do."""
    for thing in pdf.objects:
        if isinstance(thing, pikepdf.Stream) and "/Filter" not in thing:
            thing.write(deflate(thing.read_raw_bytes(), 6), filter=pikepdf.Name.FlateDecode)


# Parts required by PDF/A ---------------------------------------------------------------------------------------------


@cache
def _srgb() -> bytes:
    """An sRGB profile, the same bytes on every run (the creation date is set to a fixed day)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07d0 0001 0001 0000 0000 0000")  # ICC.1 7.2.8: 2000-01-01
    profile[84:100] = bytes(16)  # profile id: not computed
    return bytes(profile)


def _make_archival(pdf: pikepdf.Pdf, about: PdfProperties, attachments: Sequence[Attachment]) -> None:
    profile = pdf.make_stream(deflate(_srgb(), 9))
    profile.N = 3
    profile.Filter = pikepdf.Name.FlateDecode
    pdf.Root.OutputIntents = pikepdf.Array(
        [
            pikepdf.Dictionary(
                Type=pikepdf.Name.OutputIntent,
                S=pikepdf.Name.GTS_PDFA1,
                OutputConditionIdentifier=pikepdf.String("sRGB"),
                Info=pikepdf.String("sRGB IEC61966-2.1"),
                DestOutputProfile=profile,
            )
        ]
    )
    pdf.Root.Lang = pikepdf.String(about.language)
    # A printer that scales would make every ruler lie.
    pdf.Root.ViewerPreferences = pikepdf.Dictionary(PrintScaling=pikepdf.Name("/None"), DisplayDocTitle=True)
    _attach(pdf, attachments, about.created)
    _metadata(pdf, about)


def _metadata(pdf: pikepdf.Pdf, about: PdfProperties) -> None:
    moment = about.created.astimezone(UTC)
    xmp = _XMP.format(title=_xml(about.title), iso=f"{moment:%Y-%m-%dT%H:%M:%S}Z", language=_xml(about.language))
    stream = pdf.make_stream(xmp.encode())  # plain: other programs look for it in the raw file
    stream.Type, stream.Subtype = pikepdf.Name.Metadata, pikepdf.Name.XML
    pdf.Root.Metadata = stream
    date = pikepdf.String(f"D:{moment:%Y%m%d%H%M%S}Z")
    pdf.trailer.Info = pdf.make_indirect(
        pikepdf.Dictionary(
            Title=pikepdf.String(about.title),
            Creator=pikepdf.String("Filmroom"),
            Producer=pikepdf.String("Filmroom"),
            CreationDate=date,
            ModDate=date,
        )
    )


def _attach(pdf: pikepdf.Pdf, attachments: Sequence[Attachment], moment: datetime) -> None:
    """Associated files (ISO 19005-3 6.8, annex E): in the name tree and in the catalog's AF array."""
    if not attachments:
        return
    names, associated = pikepdf.Array(), pikepdf.Array()
    date = pikepdf.String(f"D:{moment.astimezone(UTC):%Y%m%d%H%M%S}Z")
    for one in sorted(attachments, key=lambda a: a.name):
        file = pdf.make_stream(deflate(one.content, 1))
        file.Filter = pikepdf.Name.FlateDecode
        file.Type, file.Subtype = pikepdf.Name.EmbeddedFile, pikepdf.Name(f"/{one.mime}")
        file.Params = pikepdf.Dictionary(
            Size=len(one.content),
            ModDate=date,
            CheckSum=pikepdf.String(hashlib.md5(one.content, usedforsecurity=False).digest()),
        )
        specification = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Filespec,
                F=pikepdf.String(one.name),
                UF=pikepdf.String(one.name),
                Desc=pikepdf.String(one.description),
                AFRelationship=pikepdf.Name.Source if one.mime == "application/dicom" else pikepdf.Name.Data,
                EF=pikepdf.Dictionary(F=file, UF=file),
            )
        )
        names.extend([pikepdf.String(one.name), specification])
        associated.append(specification)
    pdf.Root.Names = pikepdf.Dictionary(EmbeddedFiles=pikepdf.Dictionary(Names=names))
    pdf.Root.AF = associated


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<pdfaid:part>3</pdfaid:part>
<pdfaid:conformance>B</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:language><rdf:Bag><rdf:li>{language}</rdf:li></rdf:Bag></dc:language>
<xmp:CreatorTool>Filmroom</xmp:CreatorTool>
<xmp:CreateDate>{iso}</xmp:CreateDate>
<xmp:ModifyDate>{iso}</xmp:ModifyDate>
<pdf:Producer>Filmroom</pdf:Producer>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
