"""The presets: a YAML file each, whose first line describes it."""
