"""Notifiers: one module a kind of channel, each registered in :mod:`alerts.notify.registry`."""
