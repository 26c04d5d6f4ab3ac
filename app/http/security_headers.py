"""The headers every answer carries (ASVS 14.4): nothing inline, nothing from elsewhere, no frame around us."""

CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "frame-src 'self' blob:",
    )
)

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000")
NO_STORE = (b"cache-control", b"no-store")


def complete(headers: list[tuple[bytes, bytes]], *, https: bool, correlation: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with the defaults added where it does not set them.

    Pages and JSON may hold patient data, so browsers do not cache them unless the endpoint allows it."""
    present = {name.lower() for name, _ in headers}
    added = [header for header in HEADERS if header[0] not in present]
    if https:
        added.append(HSTS)
    if b"cache-control" not in present:
        added.append(NO_STORE)
    added.append((b"x-request-id", correlation.encode()))
    return [*headers, *added]
