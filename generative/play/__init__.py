"""A trained model in the browser: its dials as sliders, what it makes beside them."""
