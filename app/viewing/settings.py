"""Limits of the viewer."""

from typing import ClassVar

from pydantic import Field

from app.settings import Group


class PictureSettings(Group):
    """The cache of previews, thumbnails and rendered frames; it is made again where it is missing."""

    group: ClassVar[str] = "pictures"
    title: ClassVar[str] = "Image cache"

    cache_gib: int = Field(
        title="Cache size (GiB)",
        default=10,
        ge=1,
        le=4096,
        description=(
            "Space for previews and thumbnails. The least recently used ones are deleted first. Previews of a "
            "deleted study are deleted with the study."
        ),
    )
