"""Word vectors from a pretrained transformer; imports `encode.weights` and `encode.base`."""
