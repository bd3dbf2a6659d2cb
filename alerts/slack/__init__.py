"""What is particular to Slack: the card that a story has in a channel, how it looks, Slack's methods, and clicks."""
