"""Generated from the proto by ``python clients/python/generate_wire.py``; never edited by hand."""
