"""The pipeline: its pure core, the Faust worker, the settings and the command line."""
