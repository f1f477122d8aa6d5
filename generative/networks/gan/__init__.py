"""Networks of generators and critics, from the first ones to those of styles."""
