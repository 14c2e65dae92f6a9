"""Generators of the golden files of mxvideo, one module per topic."""
