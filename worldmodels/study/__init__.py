"""Studies: many configurations times seeds side by side.

`study` cells and what they share, `file` the YAML that describes one, `table` a row for every cell and seed, `plots`
and `page` what came of it.
"""
