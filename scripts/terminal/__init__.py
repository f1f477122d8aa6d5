"""What the console commands share: words of a command line, progress, failures, and how a command ends."""
