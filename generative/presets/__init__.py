"""Settings of each model, a YAML file each: `fast` takes minutes on two cores, `book` has the book's figures."""
