"""What turns images into features: for figures of samples, and for style."""
