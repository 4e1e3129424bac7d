"""What holds for every test."""

import gc

import hypothesis

# How long an example takes is the machine's business, and speed is measured in bench/.
hypothesis.settings.register_profile("tidegate", deadline=None)
hypothesis.settings.load_profile("tidegate")

# Most of what a test process holds stays to its end, the services' models above all: looking through it for rubbish as
# often as Python does by default costs a tenth of all time.
gc.set_threshold(20_000, 20, 20)
