"""Great Expectations suites for the published marts, and the gate that runs them."""

from expectations.lazily import import_lazily

# Plots, and tests of distributions.
import_lazily("altair", "scipy.stats")
