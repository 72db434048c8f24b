"""How one config is trained.  Needs torch and numpy alone; knows nothing of studies or stores."""
