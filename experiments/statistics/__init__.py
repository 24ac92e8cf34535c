"""What can be said of an experiment from sums; every function takes numbers or arrays of them."""
