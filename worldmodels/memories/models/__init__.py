"""The memories that ship, one file each."""
