"""A web server for this machine's own browsers only, and what the pages have in common."""

from generative.web.loopback import HOST, SHARED, Loopback, add_page, listen

__all__ = ["HOST", "SHARED", "Loopback", "add_page", "listen"]
