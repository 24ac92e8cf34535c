"""Addresses of the pages, by subject; each module adds its own to the application."""
