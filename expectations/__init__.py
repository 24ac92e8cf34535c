"""Great Expectations suites for the published marts, and the gate that runs them."""
