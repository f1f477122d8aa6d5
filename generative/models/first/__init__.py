"""First models: counted ones, and the classifiers."""
