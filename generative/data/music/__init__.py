"""Music as rolls of voices, as tokens and as notes."""
