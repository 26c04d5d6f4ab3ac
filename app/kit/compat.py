"""Every use of a library's private interface, in one place, with a test each that fails when the library changes
(tests/kit/test_compat.py). The libraries are imported when they are used: the roles that do not need one do not pay for it."""

from __future__ import annotations

import gettext
import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpcore
    import httpx
    from PIL import Image
    from pydicom import DataElement, Dataset
    from pydicom.dataelem import RawDataElement


def stored_elements(dataset: Dataset) -> Iterable[DataElement | RawDataElement]:
    """The elements of a data set as they are held: those that have not been read are still raw. pydicom's own iteration
    converts each of them."""
    return dataset._dict.values()


def stored_element(dataset: Dataset, tag: int) -> DataElement | RawDataElement | None:
    """One element as it is held, without conversion."""
    found: DataElement | RawDataElement | None = dataset._dict.get(tag)  # type: ignore[call-overload]
    return found


def inherited_codecs(dataset: Dataset) -> str | list[str]:
    """The Python codecs that an item inherits from the data set around it."""
    found: str | list[str] = dataset._parent_encoding
    return found


def read_codecs(dataset: Dataset) -> str | list[str]:
    """The Python codecs a data set was read with."""
    found: str | list[str] = dataset._character_set
    return found


def data_dictionary() -> Mapping[int, tuple[str, str, str, str, str]]:
    """Tag -> (VR, VM, name, retired, keyword): PS3.6 chapters 6 to 9."""
    from pydicom._dicom_dict import DicomDictionary

    return DicomDictionary


def uid_dictionary() -> Mapping[str, tuple[str, ...]]:
    """UID -> (name, kind, information, retired, keyword): PS3.6 Annex A."""
    from pydicom._uid_dict import UID_dictionary

    return UID_dictionary


def set_decoded_size(picture: Image.Image, columns: int, rows: int) -> None:
    """The size that an image which is not loaded yet will be taken to have. Pillow rounds the size of a reduced JPEG 2000
    picture to the nearest where the standard rounds it up (T.800 B-15)."""
    picture._size = columns, rows


def catalogue_table(translations: gettext.NullTranslations) -> Mapping[Any, str]:
    """All entries of a catalogue; gettext itself only looks one up."""
    found: Mapping[Any, str] = getattr(translations, "_catalog", {})
    return found


def stream_of(sock: socket.socket) -> httpcore.NetworkStream:
    """A connected socket as httpcore's own stream."""
    from httpcore._backends.sync import SyncStream

    return SyncStream(sock)


def use_backend(transport: httpx.HTTPTransport, backend: httpcore.NetworkBackend) -> None:
    """Lets an httpx transport open its connections by this backend; httpx has no argument for it."""
    transport._pool._network_backend = backend


def included_routers(routes: Iterable[Any]) -> list[Any]:
    """Those of these routes that represent a router included in a FastAPI application."""
    return [route for route in routes if hasattr(route, "effective_route_contexts")]


def routers_within(router: Any) -> list[Any]:
    """The routers included in an included router."""
    return included_routers(one for one in router.effective_candidates() if one is not router)


def included_paths(router: Any) -> list[str]:
    """The whole paths of an included router, with their parameters in braces."""
    contexts = router.effective_route_contexts()
    return [getattr(one.starlette_route, "path_format", None) or one.path_format for one in contexts]


def parsed_body(request: Any) -> tuple[Any, Any]:
    """(JSON document, form) of a Starlette request as far as FastAPI has read them for its parameters: None for what was not."""
    return getattr(request, "_json", None), getattr(request, "_form", None)
