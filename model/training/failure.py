"""The one error of this package."""


class TrainingFailed(Exception):
    """Training cannot begin or go on: what is wrong and what to do, in one sentence."""
