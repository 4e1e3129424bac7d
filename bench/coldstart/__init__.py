"""How long each handler takes to start, under Lambda's own Runtime Interface Emulator and its own runtime client."""
