"""Models that give every datum its exact probability."""
