"""Reports rendered for a terminal with rich."""
