"""Data sets by name, those of CarRacing among them."""
