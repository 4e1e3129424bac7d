"""What holds for every test."""

import gc

import hypothesis

# How long an example takes is the machine's business, and speed is measured in bench/. Every run draws other examples,
# so a few in each are many in a week.
hypothesis.settings.register_profile("tidegate", deadline=None, max_examples=40)
hypothesis.settings.load_profile("tidegate")

# Most of what a test process holds stays to its end, the services' models above all: looking through it for rubbish as
# often as Python does by default costs a tenth of all time.
gc.set_threshold(20_000, 20, 20)
