"""Limits of an import."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class ImportSettings(Group):
    """Limits of uploads and of zip files; they keep a hostile file from filling disk or time."""

    group: ClassVar[str] = "import"
    title: ClassVar[str] = "Import"

    max_file_gib: int = Field(
        title="Maximum file size (GiB)",
        default=16,
        ge=1,
        le=1024,
        description="Largest single file, also inside a zip archive.",
    )
    max_members: int = Field(
        title="Files per zip archive",
        default=100_000,
        ge=1,
        le=2_000_000,
        description="Maximum number of files in one zip archive.",
    )
    max_unpacked_gib: int = Field(
        title="Maximum unpacked size (GiB)",
        default=64,
        ge=1,
        le=4096,
        description="Largest total size of the unpacked files of one zip archive.",
    )
    max_ratio: int = Field(
        title="Maximum compression ratio",
        default=200,
        ge=10,
        le=1100,
        description="A file in a zip archive that is larger than this many times its packed size is refused.",
    )
