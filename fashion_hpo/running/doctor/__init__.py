"""What must hold across the stores of a study, finding where it does not, and mending that."""
