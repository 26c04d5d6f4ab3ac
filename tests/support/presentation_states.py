"""Images and presentation states made for a test (PS3.3 A.33)."""

from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

from app.imaging.presentation import GRAYSCALE
from tests.archive.make import ct

ROWS, COLUMNS = 24, 40


def make_image(**more: Any) -> Dataset:
    values = (np.arange(ROWS * COLUMNS) * 4 % 4096).astype("<u2").reshape(ROWS, COLUMNS)
    values[:4, :4] = 4095  # a corner to tell turns and flips apart
    made = ct("1.2.9.1", "1.2.9", "1.2.9.0", pixels=values.tobytes(), **more)
    made.Rows, made.Columns = ROWS, COLUMNS
    return made


def refer_to(image: Dataset, frame: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def make_state(image: Dataset, sop_class: str = GRAYSCALE, **more: Any) -> Dataset:
    state = ct(generate_uid(), "1.2.9", "1.2.9.5", pixels=None)
    state.SOPClassUID, state.Modality = sop_class, "PR"
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = image.SeriesInstanceUID, [refer_to(image)]
    state.ReferencedSeriesSequence = [series]
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [COLUMNS, ROWS]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    state.DisplayedAreaSelectionSequence = [area]
    state.PresentationLUTShape = "IDENTITY"
    state.ContentLabel, state.InstanceNumber = "TEST", 1
    state.PresentationCreationDate, state.PresentationCreationTime = "20260101", "120000"
    for keyword, value in more.items():
        setattr(state, keyword, value)
    return state


def voi_window(center: float, width: float) -> list[Dataset]:
    item = Dataset()
    item.WindowCenter, item.WindowWidth = center, width
    return [item]


def make_graphic(kind: str, data: list[float], units: str = "PIXEL", filled: str = "N") -> Dataset:
    thing = Dataset()
    thing.GraphicAnnotationUnits, thing.GraphicDimensions = units, 2
    thing.NumberOfGraphicPoints, thing.GraphicData = len(data) // 2, data
    thing.GraphicType, thing.GraphicFilled = kind, filled
    item = Dataset()
    item.GraphicLayer, item.GraphicObjectSequence = "A", [thing]
    return item
