"""Generated from serving/proto by ``python -m serving.generate_wire``; never edited by hand."""
