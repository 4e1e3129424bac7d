"""What holds for every test."""

import hypothesis

# How long an example takes is the machine's business, and speed is measured in bench/.
hypothesis.settings.register_profile("tidegate", deadline=None)
hypothesis.settings.load_profile("tidegate")
