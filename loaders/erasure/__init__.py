"""Erases an account everywhere, on a deletion request, and proves it."""

from loaders.erasure.erase import EraseError, Erasure, MergedAccountError, erase

__all__ = ["EraseError", "Erasure", "MergedAccountError", "erase"]
