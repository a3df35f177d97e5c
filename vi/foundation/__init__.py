"""What everything stands on: precision, devices, seeds, the layout of the flat vector, numbers."""
