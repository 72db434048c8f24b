"""What happens: the one place where ledger, trainer and tracker meet."""
