"""The version of Segue and of its client, which are released together; the one place that says it."""

__version__ = "0.1.0"
