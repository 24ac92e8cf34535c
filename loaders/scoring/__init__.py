"""Models in the warehouse and in objects: what was decided about them, and their bytes."""
