"""Reading untrusted zip files: every member comes out as bytes or as a refusal with its reason.

Nothing is ever written under a member's name, so a name cannot leave a folder; one that tries is refused all the
same."""

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from app.kit.phrases import phrase
from app.media import zipcontents
from app.media.errors import BadArchive, MemberRefused
from app.media.settings import ImportSettings

CHUNK = 1 << 20
_GIB = 1 << 30
_RATIO_FLOOR = 1 << 20  # smaller members may be packed as well as they like
_CLUTTER = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._)", re.IGNORECASE)
_NESTED = (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b\x08")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class UnzipLimits:
    """In bytes and counts; see ImportSettings."""

    file_bytes: int = 16 * _GIB
    members: int = 100_000
    unpacked_bytes: int = 64 * _GIB
    ratio: int = 200

    @classmethod
    def of(cls, settings: ImportSettings) -> "UnzipLimits":
        return cls(
            settings.max_file_gib * _GIB, settings.max_members, settings.max_unpacked_gib * _GIB, settings.max_ratio
        )


class Unzip:
    """A zip file on disk. Raises BadArchive when it cannot be read, or is too large by its own table of contents."""

    def __init__(self, file: IO[bytes], limits: UnzipLimits) -> None:
        self._limits = limits
        self._left = limits.unpacked_bytes
        try:
            zipcontents.check(file, limits.members)
            self._zip = zipfile.ZipFile(file)
        except zipcontents.TooManyEntries as fault:
            raise BadArchive(
                phrase("The ZIP file contains more than {count} files.", count=limits.members), hint="Split it."
            ) from fault
        except zipcontents.TooLong as fault:
            raise BadArchive(
                "The names and comments in the ZIP file are too long.",
                hint="Split it, or pack it with shorter folder names.",
            ) from fault
        except _BROKEN as fault:
            raise BadArchive("The ZIP file cannot be read: it is damaged or truncated.") from fault
        if _overlap(self._zip.infolist(), file.seek(0, 2)):
            raise BadArchive("The members of the ZIP file overlap; the file is not accepted.")

    def members(self) -> Iterator["Member"]:
        """Every file in the order of the table of contents, without folders and system clutter."""
        for info in self._zip.infolist():
            if not info.is_dir() and not _CLUTTER.search(info.filename):
                yield Member(self, info)

    def close(self) -> None:
        self._zip.close()

    def read(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """The bytes of a member, counted against every limit as they come. Raises MemberRefused."""
        self._check(info)
        count = 0
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(CHUNK):
                    count += len(chunk)
                    self._left -= len(chunk)
                    self._check_count(info, count)
                    yield chunk
        except _BROKEN as fault:
            raise MemberRefused("The file is damaged inside the ZIP file.") from fault

    def _check(self, info: zipfile.ZipInfo) -> None:
        name = info.filename.replace("\\", "/")
        if (
            name.startswith("/")
            or ".." in name.split("/")
            or re.match(r"[A-Za-z]:", name)
            or "\0" in info.orig_filename
        ):
            raise MemberRefused("Its name refers to a path outside the ZIP file.")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise MemberRefused("It is a link or a special file, not a file.")
        if info.flag_bits & 0x1:
            raise MemberRefused("It is encrypted.", hint="Unpack the ZIP file with its password and import the files.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise MemberRefused("Its compression method is not supported.", hint="Use the deflate method.")
        self._check_count(info, info.file_size)

    def _check_count(self, info: zipfile.ZipInfo, count: int) -> None:
        if count > self._limits.file_bytes:
            raise MemberRefused("The file is too large.")
        if count > _RATIO_FLOOR and count > self._limits.ratio * max(info.compress_size, 1):
            raise MemberRefused("Its compression ratio is too high (possible ZIP bomb).")
        if self._left < 0:
            raise MemberRefused("The unpacked size of the ZIP file exceeds the limit.")


def _overlap(members: list[zipfile.ZipInfo], size: int) -> bool:
    """Whether members share bytes of the file: one packed file under many names unpacks to any size."""
    end = 0
    for start, packed in sorted((m.header_offset, m.compress_size) for m in members):
        if start < end:
            return True
        end = start + 30 + packed  # the local header is longer by its name at least
    return end > size


class Member:
    """One file inside."""

    def __init__(self, unzip: Unzip, info: zipfile.ZipInfo) -> None:
        self._unzip = unzip
        self._info = info

    @property
    def name(self) -> str:
        return self._info.filename

    def chunks(self) -> Iterator[bytes]:
        """Its bytes. Raises MemberRefused before the first or between any two."""
        if self._info.filename.rpartition("/")[2].upper() == "DICOMDIR":
            raise MemberRefused("A DICOMDIR is not imported; its files are imported individually.")
        start = True
        for chunk in self._unzip.read(self._info):
            if start and chunk.startswith(_NESTED):
                raise MemberRefused("It is an archive inside the ZIP file.", hint="Unpack it and import its files.")
            start = False
            yield chunk
