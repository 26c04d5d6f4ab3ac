"""What looking at images may cost."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class PictureSettings(Group):
    """The cache of previews, thumbnails and rendered frames; it is made again where it is missing."""

    group: ClassVar[str] = "pictures"
    title: ClassVar[str] = "Pictures kept for viewing"

    cache_gib: int = Field(
        title="Most space",
        default=10,
        ge=1,
        le=4096,
        description="Space of previews and thumbnails, in GiB. Those that nobody looked at for longest go first; pictures of a deleted study go with it.",
    )
