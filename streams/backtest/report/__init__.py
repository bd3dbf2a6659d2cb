"""The report on a replay: one HTML page that says what rules would have done, for the people of a desk."""
