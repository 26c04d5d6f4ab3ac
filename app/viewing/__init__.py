"""What the viewer needs to know of a study: the manifest, previews, streams."""
