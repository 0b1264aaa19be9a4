"""Errors of datasets."""


class DatasetError(Exception):
    """Something that a dataset cannot be made of, or read from: one sentence."""
