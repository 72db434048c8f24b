"""What a person types and reads: arguments, progress, messages, exit codes."""
