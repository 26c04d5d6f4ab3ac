"""Services that are carried by pynetdicom on our own DICOM ports. `registry` says which SOP classes these are and who
serves them; an association that asks for one of them is handed over by `acceptor` after it has been admitted as any
other. See docs/dev/decisions/2026-11-30-pynetdicom-hand-over.md."""
