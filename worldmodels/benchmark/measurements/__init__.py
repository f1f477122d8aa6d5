"""What is measured, each beside what it is compared with."""
