"""The parts of a multipart/related answer of DICOMweb."""

from app.kit import multipart


def parts_of(content: bytes, content_type: str) -> list[tuple[dict[str, str], bytes]]:
    reader, parts = multipart.Reader(multipart.boundary_of(content_type)), []
    for event in reader.feed(content):
        if isinstance(event, multipart.Begin):
            parts.append((event.headers, b""))
        elif isinstance(event, multipart.Data):
            parts[-1] = (parts[-1][0], parts[-1][1] + event.data)
    reader.close()
    return parts
