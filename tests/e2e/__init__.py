"""A package, so that what its tests share is gone, with its environment, when the last of them has ended."""
