"""What goes wrong in a way its user can mend: every message says what to do."""


class RunError(Exception):
    """A run folder, a configuration or a stage that cannot go on as it is."""
