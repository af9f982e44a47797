"""``kubectl exam``: what a person does with deliveries in a cluster when something is wrong."""
