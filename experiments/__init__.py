"""What an experiment is: declarations, metrics, and the statistics of a readout. Pure."""
