"""Looks at photos: downloads, decodes and judges them."""
