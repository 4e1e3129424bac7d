"""AWS on this machine: moto, what moto lacks, and virtual time; runs the real template, definition and handlers."""
