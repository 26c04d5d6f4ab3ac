"""Description of a study for the viewer: the manifest, previews, streams."""
