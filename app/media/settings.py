"""What an import may cost."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class ImportSettings(Group):
    """Limits of uploads and of zip files; they keep a hostile file from filling disk or time."""

    group: ClassVar[str] = "import"
    title: ClassVar[str] = "Import"

    max_file_gib: int = Field(
        title="Largest file", default=16, ge=1, le=1024, description="Largest single file, in GiB, also inside a zip."
    )
    max_members: int = Field(
        title="Most files", default=100_000, ge=1, le=2_000_000, description="Most files inside one zip."
    )
    max_unpacked_gib: int = Field(
        title="Largest zip, unpacked", default=64, ge=1, le=4096, description="Most that one zip may unpack to, in GiB."
    )
    max_ratio: int = Field(
        title="Highest compression",
        default=200,
        ge=10,
        le=1100,
        description="Most times a file inside a zip may be larger than it is packed.",
    )
