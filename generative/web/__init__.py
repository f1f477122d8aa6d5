"""A web server for this machine's own browsers only."""

from generative.web.loopback import HOST, Loopback, listen

__all__ = ["HOST", "Loopback", "listen"]
