"""Train one config.  Imports torch and numpy alone, and nothing about studies or stores."""
