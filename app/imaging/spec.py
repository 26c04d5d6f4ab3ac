"""Pixel format of a frame, read once from a header (PS3.3 C.7.6.3.1)."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydicom.dataset import Dataset

from app.dicom import syntaxes
from app.imaging.errors import CannotDecode, FrameTooLarge, NotAnImage
from app.imaging.header import ImageHeader
from app.kit.phrases import phrase

MAX_FRAME_BYTES = 512 << 20  # decoded; a 14x17 inch film digitised at 50 micrometres has 240 MB
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB"}


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """The attributes that define how stored bytes become samples.

    kind: "int", "float32" (Float Pixel Data) or "float64" (Double Float Pixel Data).
    swapped: 8-bit samples in 16-bit big endian words (VR OW, PS3.5 Annex A.3): bytes are in pairs, swapped."""

    rows: int
    columns: int
    samples: int = 1
    planar: int = 0
    photometric: str = "MONOCHROME2"
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    transfer_syntax_uid: str = syntaxes.EXPLICIT_LE
    frames: int = 1
    kind: Literal["int", "float32", "float64"] = "int"
    swapped: bool = False

    @classmethod
    def from_dataset(cls, ds: ImageHeader, transfer_syntax_uid: str | None = None) -> Self:
        """Reads the spec from a data set or a header without its pixels.

        Raises NotAnImage where there are no Rows and Columns, CannotDecode where what they say makes no sense."""
        uid = transfer_syntax_uid or _syntax_of(ds)
        rows, columns = _number(ds, "Rows"), _number(ds, "Columns")
        if rows == 0 or columns == 0:
            raise NotAnImage("The object contains no image: it has no rows and columns.")
        kind = _kind(ds)
        allocated = {"float32": 32, "float64": 64}.get(kind) or _number(ds, "BitsAllocated", 16)
        stored = _number(ds, "BitsStored", allocated)
        if kind != "int" or not 1 <= stored <= allocated:
            stored = allocated
        high = _number(ds, "HighBit", stored - 1)
        if not stored - 1 <= high < allocated:
            high = stored - 1
        samples = _number(ds, "SamplesPerPixel", 1)
        photometric = str(ds.get("PhotometricInterpretation") or "").strip().upper().replace("\0", "")
        spec = cls(
            rows=rows,
            columns=columns,
            samples=samples,
            planar=_number(ds, "PlanarConfiguration") if samples > 1 else 0,
            photometric=photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=high,
            signed=kind == "int" and _number(ds, "PixelRepresentation") == 1,
            transfer_syntax_uid=uid,
            frames=max(1, _number(ds, "NumberOfFrames", 1)),
            kind=kind,
            swapped=uid == syntaxes.EXPLICIT_BE and allocated == 8 and _pixel_vr(ds) == "OW",
        )
        spec.check()
        return spec

    def check(self) -> None:
        """Raises when no decoder could give this frame, or when it would need more memory than a frame may."""
        if self.transfer_syntax_uid in syntaxes.VIDEO:
            raise NotAnImage("The object contains a video, not still images.", hint="Play or download it instead.")
        if self.samples not in (1, 3, 4):
            raise CannotDecode(
                phrase(
                    "Images must have one or three samples per pixel; this image has {samples}.", samples=self.samples
                )
            )
        if self.bits_allocated not in (1, 8, 16, 24, 32, 64):
            raise CannotDecode(
                phrase(
                    "The standard does not define pixels of {bits_allocated} bits.", bits_allocated=self.bits_allocated
                )
            )
        if self.frame_bytes > MAX_FRAME_BYTES:
            raise FrameTooLarge(
                phrase(
                    "A frame of {columns} x {rows} pixels requires {size} MB; the limit is {most} MB.",
                    columns=self.columns,
                    rows=self.rows,
                    size=self.frame_bytes >> 20,
                    most=MAX_FRAME_BYTES >> 20,
                )
            )

    @property
    def native(self) -> bool:
        return syntaxes.is_native(self.transfer_syntax_uid)

    @property
    def colour(self) -> bool:
        return self.samples >= 3

    @property
    def sampled_422(self) -> bool:
        """Native chroma samples are stored once per two columns: Y Y Cb Cr (PS3.3 C.7.6.3.1.2)."""
        return self.samples == 3 and self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame, without any padding between frames (PS3.5 8.1.1)."""
        samples = 2 if self.sampled_422 else self.samples
        return self.rows * self.columns * samples * self.bits_allocated

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame as stored, the last one perhaps in part."""
        return (self.frame_bits + 7) // 8


def frame_count(ds: ImageHeader) -> int:
    """Number of frames; 1 where the attribute is missing or nonsense, 0 where there is no image."""
    if not _number(ds, "Rows") or not _number(ds, "Columns"):
        return 0
    return max(1, _number(ds, "NumberOfFrames", 1))


def has_pixels(ds: ImageHeader) -> bool:
    return any(keyword in ds for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


def _kind(ds: ImageHeader) -> Literal["int", "float32", "float64"]:
    # A header without pixels shows a float image by what it lacks: Bits Stored belongs to integers only (C.7.6.3.1).
    if "FloatPixelData" in ds or (_number(ds, "BitsAllocated") == 32 and "BitsStored" not in ds):
        return "float32"
    if "DoubleFloatPixelData" in ds or (_number(ds, "BitsAllocated") == 64 and "BitsStored" not in ds):
        return "float64"
    return "int"


def _pixel_vr(ds: ImageHeader) -> str:
    element = ds["PixelData"] if isinstance(ds, Dataset) and "PixelData" in ds else None
    return str(element.VR) if element is not None else "OB"


def _syntax_of(ds: ImageHeader) -> str:
    meta = getattr(ds, "file_meta", None)
    uid = str(meta.get("TransferSyntaxUID") or "") if meta is not None else ""
    if uid:
        return uid
    implicit, little = getattr(ds, "original_encoding", (None, None))
    if little is False:
        return syntaxes.EXPLICIT_BE
    return syntaxes.IMPLICIT_LE if implicit else syntaxes.EXPLICIT_LE


def _number(ds: ImageHeader, keyword: str, default: int = 0) -> int:
    """An integer attribute as people really write them: empty, multi-valued, as text. Nonsense counts as missing."""
    try:
        value: Any = ds.get(keyword)
        if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
            value = value[0] if len(value) else None
        number = int(value) if value not in (None, "") else default
    except (ValueError, TypeError, AttributeError, NotImplementedError, OverflowError):
        return default
    return number if 0 <= number < 1 << 40 else default
