"""Turn the difference between effective and live into ordered changes."""
