"""Several models that answer as one: their recipe, how answers are combined, the folder that holds them."""
