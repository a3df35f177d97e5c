"""What moves a record on: its data, steps, restarts, freezing."""
