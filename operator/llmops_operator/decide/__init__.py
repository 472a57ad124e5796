"""What to do: pure decisions over a World."""
