"""How fast the model is beside the libraries that do the same: what ``make bench`` measures."""
