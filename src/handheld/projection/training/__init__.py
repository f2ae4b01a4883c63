"""What learns: tables and ProjectionNets, and the networks that train them."""
