"""DICOMweb: QIDO-RS, WADO-RS, STOW-RS under /dicom-web and WADO-URI at /wado (PS3.18)."""

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    from app.dicomweb import frames, rendered, retrieve, search, store, wado_uri

    return [search.router, frames.router, rendered.router, retrieve.router, store.router, wado_uri.router]
