"""Pages as image files: the finished PDF drawn by PDFium, one JPEG, PNG or TIFF a page, all in one zip."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2

# name -> (Pillow's name, ending, how it is saved)
FORMATS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "jpg", {"quality": 92, "subsampling": 0}),
    "png": ("PNG", "png", {"compress_level": 3}),
    "tiff": ("TIFF", "tif", {"compression": "tiff_adobe_deflate"}),
}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip supports: the same pages give the same bytes


def write(pdf: Path, target: Path, kind: str, dpi: int, progress: Callable[[int, int], None]) -> None:
    """Writes page-001.jpg and so on, each with its resolution noted, so that it prints at its true size."""
    name, ending, how = FORMATS[kind]
    document = pypdfium2.PdfDocument(pdf)
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for number in range(len(document)):
                page = document[number]
                picture = page.render(scale=dpi / 72).to_pil().convert("RGB")
                page.close()
                buffer = io.BytesIO()
                picture.save(buffer, name, dpi=(dpi, dpi), **how)
                archive.writestr(zipfile.ZipInfo(f"page-{number + 1:03}.{ending}", _EPOCH), buffer.getvalue())
                progress(number + 1, len(document))
    finally:
        document.close()
