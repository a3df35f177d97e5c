"""What a fit knows, as plain data, and how one begins."""
