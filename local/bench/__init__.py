"""What ``segue bench`` measures."""
