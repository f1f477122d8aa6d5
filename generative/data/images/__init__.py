"""Images: drawn, bundled, and files of the user."""
