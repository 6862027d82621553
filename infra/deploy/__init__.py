"""Put Antiphon on AWS: the functions' package, the stacks in order, and the way back."""
