"""Telling people, and what pages them, that something is wrong, and that it is over."""
