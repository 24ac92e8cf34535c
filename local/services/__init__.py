"""The processes of the embedded platform: one module each, and what they have in common."""
