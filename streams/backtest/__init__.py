"""What can be known before going live: how good the decisions are, measured on labelled and on real headlines."""
