"""Pure decisions: facts in, a decision out; no clock, no log, no await."""
