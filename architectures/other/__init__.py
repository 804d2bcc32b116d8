"""What belongs to no other family: models that count, mixtures of mixers."""
