"""Stories: which headlines tell the same, which tell something new of it, and which have nothing to do with each other."""
