"""What reading damaged or hostile DICOM raises, of pydicom and of the struct module below it."""

import struct

# Not Exception: a fault of ours (NameError, AssertionError) is to be seen, not taken for a bad file.
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
