"""Stored values to 8-bit pictures: one table per image, applied once (DESIGN 3.2; PS3.4 N.2)."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from pydicom.dataset import Dataset

from app.dicom import syntaxes
from app.imaging import colour, cost, lut, marks, overlays, shutter, transform
from app.imaging.decode import decode, memory_needed, required_halvings
from app.imaging.display import Display, Window
from app.imaging.errors import CannotDecode, ImagingError
from app.imaging.lut import Greys
from app.imaging.native import Samples
from app.imaging.palette import palette
from app.imaging.params import RenderParams
from app.imaging.presentation import Presentation
from app.imaging.spec import PixelSpec
from app.imaging.window import default_window
from app.kit.errors import Invalid
from app.kit.phrases import phrase

_BAND = 1 << 20  # samples computed at a time where there is no table


def render_frame(
    frame: bytes,
    ds: Dataset,
    params: RenderParams | None = None,
    number: int = 1,
    spec: PixelSpec | None = None,
    state: Presentation | None = None,
) -> Greys:
    """Decodes and shows frame `number` (from 1): uint8, (rows, columns) or (rows, columns, 3). state: a presentation
    state that is applied to it.

    frame: as stored, native 1-bit frames aligned to a byte. Raises ImagingError with the reason when there is no picture."""
    spec = spec or PixelSpec.from_dataset(ds)
    params = params or RenderParams()
    halved = _halved(frame, spec, params)
    with cost.ROOM.of(memory_needed(frame, spec, halved)):
        display, params = _shown_by(ds, spec, number, params, state)
        decoded = decode(frame, spec, halved=halved)
        values = decoded.values
        if spec.colour:
            values = colour.to_rgb(values, decoded.photometric, spec.bits_stored)
        words = decoded.words if params.overlays and not halved and overlays.in_pixels(ds) else None
        del decoded  # what is drawn beside it may be as large
        image = shade(values, ds, spec, display, params)
        del values
        return _finish(image, ds, params, display, number, spec, words, state)


def _halved(frame: bytes, spec: PixelSpec, params: RenderParams) -> int:
    """How often a frame that costs too much memory is halved: as far as it is not visible, or as the caller
    requests."""
    if params.coarse:
        return required_halvings(frame, spec)
    if params.size is None or params.crop is not None or params.zoom != 1.0:
        return 0
    return required_halvings(frame, spec, max(params.size))


def render(
    values: Samples,
    ds: Dataset,
    params: RenderParams | None = None,
    *,
    number: int = 1,
    spec: PixelSpec | None = None,
    words: Samples | None = None,
    state: Presentation | None = None,
) -> Greys:
    """Shows the values of `decode_frame`. words: raw words of the frame, only for overlays inside the pixels."""
    params = params or RenderParams()
    spec = spec or PixelSpec.from_dataset(ds)
    display, params = _shown_by(ds, spec, number, params, state)
    return _finish(shade(values, ds, spec, display, params), ds, params, display, number, spec, words, state)


def _shown_by(
    ds: Dataset, spec: PixelSpec, number: int, params: RenderParams, state: Presentation | None
) -> tuple[Display, RenderParams]:
    """How the header, and over it the presentation state, wants frame `number` shown."""
    display = Display.from_dataset(ds, spec, number, big_endian(spec))
    return (display, params) if state is None else (state.display(display, spec), state.params(params))


def _finish(
    image: Greys,
    ds: Dataset,
    params: RenderParams,
    display: Display,
    number: int,
    spec: PixelSpec,
    words: Samples | None,
    state: Presentation | None,
) -> Greys:
    """Draws overlays on a shaded image, then crops, rotates and scales it."""
    if state is not None:
        image = _covered(_coloured(image, state, params), state, spec)
    found = overlays.planes(ds, number, words, spec) if params.overlays else []
    if state is not None:
        found = state.overlays(found, spec) if params.overlays else []
    if found:
        image = overlays.draw_overlays(_whole_size(image, spec), found)
    drawn = state.marks if state is not None and params.overlays else ()
    image = _whole_size(image, spec) if drawn else image
    made = transform.apply(image, params, display.aspect)
    return marks.draw(made, drawn, transform.placement(image.shape, params, made.shape))


def _whole_size(image: Greys, spec: PixelSpec) -> Greys:
    """Overlays, shutters and graphics count in the pixels of the whole, which a halved image no longer has."""
    whole = (spec.rows, spec.columns)
    return image if image.shape[:2] == whole else transform.resize(image, whole)


def _coloured(image: Greys, state: Presentation, params: RenderParams) -> Greys:
    """Pseudo-colour: grey levels as indices of the state's palette, whose first entry is black's (PS3.4 N.2.4.2). Colour:
    by the state's ICC profile."""
    if image.ndim == 3:
        return colour.to_srgb(image, colour.icc_profile(state.ds)) if params.icc and "ICCProfile" in state.ds else image
    if "RedPaletteColorLookupTableDescriptor" not in state.ds:
        return image
    _first, entries = palette(state.ds)
    index = np.rint(np.arange(256) * ((len(entries) - 1) / 255)).astype(np.intp)
    return np.asarray(entries[index].astype(np.uint8)[image], np.uint8)


def _covered(image: Greys, state: Presentation, spec: PixelSpec) -> Greys:
    seen = shutter.open_area(state.ds, spec)
    return image if seen is None else shutter.apply_shutter(_whole_size(image, spec), seen, state.ds)


def shade(values: Samples, ds: Dataset, spec: PixelSpec, display: Display, params: RenderParams) -> Greys:
    """Colours and grey levels of every pixel, before anything is drawn on them or moved."""
    if values.ndim == 3:
        return _shade_rgb(values, ds, spec, params)
    if spec.photometric == "PALETTE COLOR":
        return _shade_palette(values, ds, spec, params)
    image = _shade_grey(values, spec, display, params)
    if params.palette and spec.photometric == "MONOCHROME2" and _supplemental(ds):
        image = _colour_above(image, values, ds, spec)
    if params.colormap and image.ndim == 2:
        image = colormap(params.colormap)[image]
    return image


def big_endian(spec: PixelSpec) -> bool:
    """LUT data of VR OW is in the data set's byte order."""
    return spec.transfer_syntax_uid == syntaxes.EXPLICIT_BE


def _shade_grey(values: Samples, spec: PixelSpec, display: Display, params: RenderParams) -> Greys:
    window = chosen_window(values, spec, display, params)
    inverted = display.inverted != params.invert
    plain = display.modality_lut is None and display.presentation_lut is None
    if window is not None and plain and lut.has_table(values):
        known = window.center, window.width, window.function
        return lut.apply_table(values, _table(values.dtype.str, display.slope, display.intercept, *known, inverted))

    def chain(part: Samples) -> Greys:
        units = lut.apply_modality_lut(part, display)
        if window is None:
            fractions = lut.voi_lut(units, display.voi_luts[min(params.voi_lut_index, len(display.voi_luts) - 1)])
        else:
            fractions = lut.apply_window(units, window.center, window.width, window.function)
        return lut.apply_presentation_lut(fractions, inverted, display.presentation_lut)

    if lut.has_table(values):
        return lut.apply_table(values, chain(lut.all_values(values.dtype)))
    return _in_bands(values, chain)


@lru_cache(maxsize=32)
def _table(
    dtype: str, slope: float, intercept: float, center: float, width: float, function: str, inverted: bool
) -> Greys:
    """The grey of every stored value; the images of a series mostly share one."""
    units = lut.apply_modality_lut(lut.all_values(np.dtype(dtype)), Display(slope=slope, intercept=intercept))
    table = lut.apply_presentation_lut(lut.apply_window(units, center, width, function), inverted)
    table.flags.writeable = False
    return table


def _in_bands(values: Samples, chain: Callable[[Samples], Greys]) -> Greys:
    """Wide integers and floats, a band of rows at a time: double precision copies of all would be eight times the image."""
    out = np.empty(values.shape, np.uint8)
    step = max(1, _BAND // values.shape[1])
    for start in range(0, values.shape[0], step):
        band = values[start : start + step]
        if band.dtype.kind == "f":
            band = np.nan_to_num(band, nan=0.0)
        out[start : start + step] = chain(band)
    return out


def chosen_window(values: Samples, spec: PixelSpec, display: Display, params: RenderParams) -> Window | None:
    """The window to use: the caller's, else the header's, else computed. None: use the header's VOI LUT."""
    if params.window is not None:
        known = display.windows[0].function if display.windows else "LINEAR"
        function = params.voi_function or ("LINEAR_EXACT" if params.window[1] < 1 and known == "LINEAR" else known)
        return Window(*params.window, "as seen", function)
    if display.windows:
        window = display.windows[min(max(params.window_index, 0), len(display.windows) - 1)]
        return replace(window, function=params.voi_function or window.function)
    return default_window(values, spec, display)


def _shade_rgb(values: Samples, ds: Dataset, spec: PixelSpec, params: RenderParams) -> Greys:
    if not lut.has_table(values):
        top = float((1 << spec.bits_stored) - 1)
        image: Greys = np.rint(values / top * 255).astype(np.uint8)
    elif spec.bits_stored == 8 and params.window is None:
        image = values.astype(np.uint8, copy=False)
    else:
        # Colour has no VOI LUT of its own; a window a person has set is taken as one for every sample.
        low, high = lut.stored_range(spec)
        center, width = params.window or ((low + high + 1) / 2, high - low + 1)
        fractions = lut.apply_window(lut.all_values(values.dtype).astype(np.float32), center, width)
        image = lut.apply_table(values, lut.apply_presentation_lut(fractions, False))
    if params.icc:
        image = colour.to_srgb(image, colour.icc_profile(ds))
    return np.asarray(255 - image, np.uint8) if params.invert else image


def _shade_palette(values: Samples, ds: Dataset, spec: PixelSpec, params: RenderParams) -> Greys:
    """Stored values below the palette take its first colour, those above its last (C.7.9.1)."""
    first, entries = palette(ds, big_endian(spec), spec.signed)
    if not lut.has_table(values):
        raise CannotDecode("A palette color image must have 8 or 16 bits.")
    image = lut.apply_table(values, _indexed(entries, first, values.dtype))
    if params.icc:
        image = colour.to_srgb(image, colour.icc_profile(ds))
    return np.asarray(255 - image, np.uint8) if params.invert else image


def _indexed(entries: Samples, first: int, dtype: "np.dtype[np.generic]") -> Greys:
    index = np.clip(lut.all_values(dtype).astype(np.int64) - first, 0, len(entries) - 1)
    return np.asarray(entries[index], np.uint8)


def _supplemental(ds: Dataset) -> bool:
    """A grey picture some of whose values are colours (C.7.6.19, C.8.16.2)."""
    presentation = str(ds.get("PixelPresentation") or "").strip().upper()
    return presentation in ("COLOR", "MIXED", "COLOR_RANGE") and "RedPaletteColorLookupTableDescriptor" in ds


def _colour_above(image: Greys, values: Samples, ds: Dataset, spec: PixelSpec) -> Greys:
    try:
        first, entries = palette(ds, big_endian(spec), spec.signed)
    except ImagingError:
        return image
    coloured = (values >= first) & (values < first + len(entries))
    out = np.repeat(image[:, :, np.newaxis], 3, axis=2)
    out[coloured] = entries[(values[coloured].astype(np.int64) - first)]
    return out


def colormap(name: str) -> Greys:
    """A well-known palette of PS3.6 Annex B as (256, 3), such as HOT_IRON or PET. Raises Invalid for unknown names."""
    from pydicom.pixels.processing import apply_color_lut

    try:
        table = apply_color_lut(np.arange(256, dtype=np.uint8), palette=name.upper())
    except ValueError:
        raise Invalid(phrase("Unknown color map {name}.", name=name), field="colormap") from None
    return np.asarray(table >> 8 if table.dtype == np.uint16 else table, np.uint8)
