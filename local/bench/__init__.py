"""Benchmarks on the embedded parts: every figure that counts is a ratio within one run."""
