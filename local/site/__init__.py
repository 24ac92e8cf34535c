"""The documentation site: MkDocs over ``docs/``, with a reference that is generated from the code."""
