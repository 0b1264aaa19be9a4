"""ExportRefused: the file would not be what it says it is; nothing was written."""


class ExportRefused(Exception):
    """A judge that is not written, with the reason, the limit and what to do in one sentence."""
