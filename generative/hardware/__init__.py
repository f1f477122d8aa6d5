"""Where numbers are computed: devices, their random streams, number types, and recorded steps of a GPU."""
