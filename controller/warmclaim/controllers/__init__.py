"""One module for each kind that we reconcile: facts, decide, act."""
