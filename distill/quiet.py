"""Silences what the libraries say while nothing is wrong: progress bars, hints, notices on optional kernels.

Errors are untouched, and a warning that is not listed here is still seen.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator

_CHATTY = ("bitsandbytes", "transformers", "trl", "peft", "accelerate", "datasets")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within the block, library loggers speak of errors only, and no progress bars are drawn."""
    from transformers.utils import logging as hf

    loggers = [logging.getLogger(name) for name in _CHATTY]
    before = [logger.level for logger in loggers]
    bars = hf.is_progress_bar_enabled()
    hf.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
        if bars:
            hf.enable_progress_bar()
