"""Models that say how likely a datum is: by its exact probability, or by an energy up to a constant."""
