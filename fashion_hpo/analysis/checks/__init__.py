"""The tuning playbook's checks of a study."""
