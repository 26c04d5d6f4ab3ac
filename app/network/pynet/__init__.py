"""pynetdicom over the connections of this package: what the acceptor (app.dimse.handover) and the requestor (`scu`)
share.

Only this package and app.dimse.handover import pynetdicom (import-linter contract in pyproject.toml). It is imported at
the first use: a receiver that never serves such a class never loads it. Methods of its Association,
DULServiceProvider, DIMSEServiceProvider and AssociationSocket are overridden here, private ones too, so its version is
bounded to a minor one and a new one is taken after tests/dimse/test_handover.py.
See docs/dev/decisions/2026-11-30-pynetdicom-hand-over.md."""
