"""Erases accounts everywhere, on deletion requests, and proves it."""

from loaders.erasure.erase import EraseError, Erasure, MergedAccountError, erase, in_batches

__all__ = ["EraseError", "Erasure", "MergedAccountError", "erase", "in_batches"]
