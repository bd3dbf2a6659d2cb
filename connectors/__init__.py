"""Where headlines come from: one module a source, and the embedded Kafka and Redis."""
