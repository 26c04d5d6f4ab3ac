"""The DICOM interface: what others may ask of us over DICOM. C-ECHO and C-STORE as SCP, on an own fast path.

`server.Receiver` accepts, `association.AcceptedAssociation` is one association, `store` takes objects into the archive."""
