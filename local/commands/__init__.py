"""What the embedded platform, the generated company and the benchmarks add to the command line."""
