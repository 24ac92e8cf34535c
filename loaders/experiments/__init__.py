"""Reads the file of an experiment that was run elsewhere into sufficient statistics."""
