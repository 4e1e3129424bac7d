"""What several handlers do with AWS and the domain: plan, restore, roll back, reconcile, finalize, steer, announce."""

import gc

# Nothing that a cold start imports is garbage, and looking for some takes a tenth of it (`make bench`). Every handler
# imports this package first, and `telemetry.task` switches the collector on again.
gc.disable()
