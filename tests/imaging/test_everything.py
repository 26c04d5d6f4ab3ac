"""Every file there is: it decodes and shows, or says plainly why not."""

import os
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread

from app.imaging import ImagingError, PixelSpec, decode, preview, render_frame
from tests.imaging.support import stored_frame
from tests.support import samples

# Images that are refused, and why. Whatever is refused and not here, fails the test.
REFUSED = {
    "j2k_sequence_delimiter_in_stream.dcm": "the compressed frame 3722445056 x 1024",
    "JPEG2000-embedded-sequence-delimiter.dcm": "the compressed frame 3722445056 x 1024",
    "chr_JapMulti.dcm": "no pixel data",
    "chr_JapMultiExplicitIR6.dcm": "no pixel data",
    "chr_KoreanMulti.dcm": "no pixel data",
    "chrJapMulti.dcm": "no pixel data",
    "chrJapMultiExplicitIR6.dcm": "no pixel data",
    "chrKoreanMulti.dcm": "no pixel data",
}


def all_files(root: Path) -> list[Path]:
    found = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
    return sorted(
        p for p in found if p.suffix not in (".py", ".pyc", ".csv", ".md", ".json", ".txt", ".icc", ".gz", ".dump")
    )


def check(path: Path) -> str:
    """'' when there is no image in it, 'shown' or the reason of refusal."""
    ds = dcmread(path, force=True)
    if not ds.get("Rows") or not ds.get("Columns"):
        with pytest.raises(ImagingError, match="no image"):
            PixelSpec.from_dataset(ds)
        return ""
    try:
        spec = PixelSpec.from_dataset(ds)
        frame = stored_frame(ds, spec)
        decoded = decode(frame, spec)
        picture = render_frame(frame, ds)
        small = preview(frame, ds, 64)
    except ImagingError as error:
        return error.detail
    assert decoded.values.shape[:2] == (spec.rows, spec.columns)
    assert picture.dtype == np.uint8
    assert picture.ndim == (3 if spec.colour or spec.photometric == "PALETTE COLOR" else picture.ndim)
    assert max(small.shape[:2]) <= 64
    if decoded.values.max() > decoded.values.min() and "Window" not in "".join(ds.dir()):
        assert picture.max() > picture.min(), "an image with a contrast must not print flat"
    return "shown"


@pytest.mark.parametrize("root", ["shared", "pydicom"])
def test_every_file_is_shown_or_refused_with_the_expected_words(root: str, request: pytest.FixtureRequest) -> None:
    if root == "shared":
        folder = request.getfixturevalue("shared_data")
        least = 350 if samples.is_whole(folder) else 130
    else:
        folder, least = Path(pydicom.data.__file__).parent, 80
    shown, wrong = 0, []
    for path in all_files(folder):
        said = check(path)
        shown += said == "shown"
        if said not in ("", "shown") and REFUSED.get(path.name, "unexpected") not in said:
            wrong.append(f"{path.relative_to(folder)}: {said}")
    assert not wrong, "\n".join(wrong)
    assert shown >= least
