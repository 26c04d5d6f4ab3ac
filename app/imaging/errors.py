"""Errors of pictures. The archive keeps such an object; only the picture of it is refused, with the reason."""

from app.kit.errors import AppError


class ImagingError(AppError):
    """A frame that cannot be turned into a picture."""

    code, status, dimse = "no-picture", 422, 0xC000


class NotAnImage(ImagingError):
    """The object holds no still image: SR, PDF, waveform, video."""

    code = "not-an-image"


class CannotDecode(ImagingError):
    """Damaged, truncated or lying pixel data, or a compression no decoder here knows."""

    code = "cannot-decode"


class FrameTooLarge(ImagingError):
    """More pixels than a frame may have here: a decompression bomb, or an image for another tool."""

    code, status = "frame-too-large", 413


class CannotTranscode(ImagingError):
    """The pixels cannot be carried in the transfer syntax asked for without changing them."""

    code, status = "cannot-transcode", 406
