"""What a fitted q gives: draws, predictions, moments, nodes, chains, tables."""
