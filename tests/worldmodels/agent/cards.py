"""What a model card says, read out of its Markdown."""

import re


def table(card):
    """The rows of the card's tables, first column to the others."""
    return {cells[0]: cells[1:] for cells in (row.split(" | ") for row in re.findall(r"^\| (.*) \|$", card, re.M))}
