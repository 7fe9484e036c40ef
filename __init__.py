"""tenstep: curate ten-step chain-of-thought datasets for chest X-ray reporting, and distil a student."""

__version__ = "0.1.0"
