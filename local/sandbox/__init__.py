"""A lookup service with a made-up account for each thing that it can answer: for those who write clients."""
