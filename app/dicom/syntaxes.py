"""Transfer syntaxes by what has to be done with their pixels (PS3.5 Annex A, PS3.6 Annex A)."""

from typing import Final

IMPLICIT_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_LE: Final = "1.2.840.10008.1.2.1"
DEFLATED_LE: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE: Final = "1.2.840.10008.1.2.2"
GE_PRIVATE_BE: Final = "1.2.840.113619.5.2"  # implicit little endian header, big endian pixels
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAME: Final = "1.2.840.10008.1.2.8.1"
RLE: Final = "1.2.840.10008.1.2.5"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR: Final = "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
J2K: Final = "1.2.840.10008.1.2.4.91"
J2K_PART2_LOSSLESS: Final = "1.2.840.10008.1.2.4.92"
J2K_PART2: Final = "1.2.840.10008.1.2.4.93"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
HTJ2K: Final = "1.2.840.10008.1.2.4.203"

NATIVE: Final = frozenset({IMPLICIT_LE, EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE, GE_PRIVATE_BE})
BIG_ENDIAN: Final = frozenset({EXPLICIT_BE, GE_PRIVATE_BE})

# Every JPEG process of PS3.5 A.4.1, the retired ones of older editions (1.2.840.10008.1.2.4.52 to .66) included:
# which of them a frame really is follows from its own SOF marker.
JPEG: Final = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (*range(50, 67), 70))
JPEG_LS_ALL: Final = frozenset({JPEG_LS, JPEG_LS_NEAR})
J2K_ALL: Final = frozenset({J2K_LOSSLESS, J2K, J2K_PART2_LOSSLESS, J2K_PART2})
HTJ2K_ALL: Final = frozenset({HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K})
JPEG_XL_LOSSLESS: Final = "1.2.840.10008.1.2.4.110"
JPEG_XL: Final = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))
# Frames are code streams that say of themselves what they are.
CODESTREAMS: Final = JPEG | JPEG_LS_ALL | J2K_ALL | HTJ2K_ALL | JPEG_XL

# MPEG-2, MPEG-4, HEVC (A.4.5 to A.4.11) and the streaming SMPTE syntaxes: one stream, no frames of their own.
VIDEO: Final = frozenset(
    {
        *(f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109)),
        *(f"1.2.840.10008.1.2.4.{n}.1" for n in range(100, 107)),
        *(f"1.2.840.10008.1.2.7.{n}" for n in (1, 2, 3)),
    }
)

# Always exact: turning one into another changes no pixel. (.91 and .203 may hold lossless data, which is not declared.)
LOSSLESS: Final = (
    NATIVE | {ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAME, RLE, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS}
) | {
    J2K_LOSSLESS,
    J2K_PART2_LOSSLESS,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_XL_LOSSLESS,
}
# Transfer syntaxes that transcode_frame can write.
TARGETS: Final = frozenset(
    {IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE, RLE, JPEG_LS}
    | {J2K_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL}
)


def is_native(uid: str) -> bool:
    """Pixel data is one run of words, not a sequence of fragments (PS3.5 A.4)."""
    return uid in NATIVE
