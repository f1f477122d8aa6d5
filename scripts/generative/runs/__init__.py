"""What all commands share: a run is asked for, opened, put together with its data, and shown."""
