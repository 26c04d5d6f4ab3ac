"""The pixels of a print are made side by side; the frames of one object share one header."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom

from app.printing.gather import Gatherer
from app.printing.order import OrderItem
from app.printing.sheet import SheetOptions, compose
from tests.printing.conftest import Store
from tests.support.client import Web
from tests.support.samples import some


def _frames(path: Path) -> int:
    return int(pydicom.dcmread(path, stop_before_pixels=True).get("NumberOfFrames") or 1)


def test_threads_make_the_same_pixels_as_one_alone(web: Web, store: Store, shared_data: Path) -> None:
    path = next(p for p in some(shared_data / "enhanced", "*.dcm") if _frames(p) >= 4)
    [uid] = store([path])
    items = [OrderItem(sop_instance_uid=uid, frame=1 + n % 4) for n in range(40)]
    alone, together = (Gatherer(web.database.read, web.services.archive, "en", [uid]) for _ in range(2))
    sheet = compose([alone.picture(item, 1) for item in items], SheetOptions(layout="4x5"))
    todo: list[Any] = [cell.placed for page in sheet.pages for cell in page.cells if cell.placed]
    wanted = [alone.pixels(one, 300).tobytes() for one in todo]
    with ThreadPoolExecutor(4) as threads:
        made = [pixels.tobytes() for pixels in threads.map(lambda one: together.pixels(one, 300), todo)]
    assert made == wanted
    assert len(set(wanted)) > 1
