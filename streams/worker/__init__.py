"""The Faust worker: thin agents around the pure core, and the protocol that loses no headline."""
