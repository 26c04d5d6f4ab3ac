"""Decode, LUT chain, render, transcode: arrays in, arrays out. No database, no network.

`render_frame(frame, ds, RenderParams(...))` is the short way from a stored frame to a picture; `decode_frame` and
`render` are its halves; `preview_jpeg` is the quick one; `encode` makes a file of a picture."""

from app.imaging.appearance import Appearance, opening_window
from app.imaging.decode import Decoded, decode, decode_frame, required_halvings
from app.imaging.display import Display, Window
from app.imaging.encode import MEDIA_TYPES, encode, encode_animation
from app.imaging.errors import CannotDecode, CannotTranscode, FrameTooLarge, ImagingError, NotAnImage
from app.imaging.native import align_bits
from app.imaging.params import Crop, RenderParams
from app.imaging.presentation import DoesNotApply, Presentation
from app.imaging.preview import preview, preview_jpeg
from app.imaging.render import render, render_frame
from app.imaging.spec import PixelSpec, frame_count
from app.imaging.window import computed_window, default_window

__all__ = [
    "MEDIA_TYPES",
    "Appearance",
    "CannotDecode",
    "CannotTranscode",
    "Crop",
    "Decoded",
    "Display",
    "DoesNotApply",
    "FrameTooLarge",
    "ImagingError",
    "NotAnImage",
    "PixelSpec",
    "Presentation",
    "RenderParams",
    "Window",
    "align_bits",
    "computed_window",
    "decode",
    "decode_frame",
    "default_window",
    "encode",
    "encode_animation",
    "frame_count",
    "opening_window",
    "preview",
    "preview_jpeg",
    "render",
    "render_frame",
    "required_halvings",
]
