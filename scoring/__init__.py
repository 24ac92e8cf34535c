"""What a model is: how it is trained, evaluated and kept. Pure but for artifacts."""
