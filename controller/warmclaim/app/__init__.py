"""The composition root: the only room that knows every other one."""

from warmclaim.app.build import App
from warmclaim.app.outside import Outside

__all__ = ["App", "Outside"]
