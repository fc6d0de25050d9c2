"""The story of the product, told on real parts, each promise measured."""
