"""Content of offers from a content management system, as landing files of ``content_entries``."""
