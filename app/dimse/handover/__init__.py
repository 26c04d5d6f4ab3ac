"""Services that pynetdicom carries on the DICOM ports of this station. `registry` maps these SOP classes to the
functions that serve them; an association that asks for one of them is handed over by `acceptor` after it has been
admitted as any other. See docs/dev/decisions/2026-11-30-pynetdicom-hand-over.md."""
