"""Exceptions of pydicom and the struct module for damaged or hostile DICOM."""

import struct

# Not Exception: a programming error (NameError, AssertionError) must be visible, not treated as a bad file.
DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    OSError,
    EOFError,
    OverflowError,
    struct.error,
)
