"""The command line: flags to settings to app."""
