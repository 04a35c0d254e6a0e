"""One sink a file: what happens with a finished call."""
