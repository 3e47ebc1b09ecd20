"""Compiled functions are slow at their first call, so examples have no deadline."""

from hypothesis import settings

settings.register_profile("kernel", deadline=None)
settings.load_profile("kernel")
