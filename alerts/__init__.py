"""Where alerts go: rule files, channels, the outbox, and one notifier a kind of channel."""
