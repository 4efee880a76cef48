"""The commands: flags, config, exit codes."""
