"""The window an image opens with when the user has not chosen one (VIEW-3): the tags', else the VOI LUT, else
computed."""

from collections.abc import Iterable

import numpy as np

from app.imaging import lut
from app.imaging.display import Display, Window
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec

_SAMPLE = 1 << 18  # pixels looked at: percentiles of more do not differ visibly
_FEW = 16  # a range this small (masks, maps, doses) has no unit of 1: LINEAR would flatten it
LOW, HIGH = 0.5, 99.5  # percentiles; a single bright marker does not darken the picture


def default_window(values: Samples, spec: PixelSpec, display: Display) -> Window | None:
    """Centre and width in modality units; None where a VOI LUT Sequence of the header is to be used instead."""
    if display.windows:
        return display.windows[0]
    if display.voi_luts:
        return None
    return computed_window(values, spec, display)


def pooled_window(frames: Iterable[tuple[Samples, Display]]) -> Window | None:
    """One window for all frames of a series, in modality units: what `computed_window` finds in them together.
    None without any value."""
    parts = [
        lut.apply_modality_lut(_unpadded(values[:: _step(values), :: _step(values)].reshape(-1), d), d)
        for values, d in frames
    ]
    units = np.concatenate(parts) if parts else np.empty(0, np.float32)
    units = units[np.isfinite(units)]
    if units.size == 0:
        return None
    low, high = (float(v) for v in np.percentile(units, (LOW, HIGH)))
    if high <= low:
        low, high = float(units.min()), float(units.max())
    return Window((low + high) / 2, (high - low) or 1.0, "computed", "LINEAR_EXACT")


def _unpadded(sample: Samples, display: Display) -> Samples:
    """Without Pixel Padding. A label map may call its background padding: one label alone would have no contrast."""
    if display.padding is None:
        return sample
    kept = sample[(sample < display.padding[0]) | (sample > display.padding[1])]
    return kept if kept.size and kept.min() < kept.max() else sample


def computed_window(values: Samples, spec: PixelSpec, display: Display) -> Window:
    """From the pixels, without Pixel Padding (C.7.5.1.1.2).

    Pictures of 8 bits that use their range are shown as they are: a screen capture must not change its grey."""
    sample = values[:: _step(values), :: _step(values)].reshape(-1)
    sample = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    sample = _unpadded(sample, display)
    if sample.size == 0:
        return Window(0.5, 1.0, "computed", "LINEAR_EXACT")
    if spec.kind == "int" and (spec.bits_stored == 1 or (spec.bits_stored <= 8 and _uses_range(sample, spec))):
        ends = lut.apply_modality_lut(np.array(lut.stored_range(spec)), display)
        low, high = float(ends.min()), float(ends.max())
    else:
        units = lut.apply_modality_lut(sample, display)
        low, high = (float(v) for v in np.percentile(units, (LOW, HIGH)))
        if high <= low:
            low, high = float(units.min()), float(units.max())
        if high <= low:
            return _flat_window(low, sample, spec, display)
    if high - low < _FEW or spec.kind != "int":
        return Window((low + high) / 2, max(high - low, 1e-6), "computed", "LINEAR_EXACT")
    # LINEAR maps centre - 0.5 +- (width - 1) / 2: low becomes black and high white exactly.
    return Window((low + high + 1) / 2, high - low + 1, "computed")


def _flat_window(value: float, sample: Samples, spec: PixelSpec, display: Display) -> Window:
    """One value everywhere: the middle grey, so that a flat phantom is not taken for an image without content; nothing at
    all (stored 0, the lowest that can be stored, Pixel Padding) is black."""
    nothing = spec.kind == "int" and int(sample[0]) in (0, int(lut.stored_range(spec)[0]))
    nothing |= display.padding is not None and display.padding[0] <= sample[0] <= display.padding[1]
    return Window(value + 0.5 if nothing else value, 1.0, "computed", "LINEAR_EXACT")


def _step(values: Samples) -> int:
    return max(1, int((values.shape[0] * values.shape[1] / _SAMPLE) ** 0.5))


def _uses_range(sample: Samples, spec: PixelSpec) -> bool:
    low, high = lut.stored_range(spec)
    return (int(sample.max()) - int(sample.min())) * 4 >= high - low
