"""Pages of HTML that need nothing else: no script, no network, plots as inline SVG."""
