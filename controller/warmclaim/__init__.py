"""warmclaim: hands pre-warmed, isolated sandboxes to AI agents the moment they ask."""

__version__ = "0.1.0"
