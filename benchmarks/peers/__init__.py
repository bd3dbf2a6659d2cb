"""Peers of the pipeline: each reads a topic and does nothing with it.

Every module is a program of its own, ``python FILE SERVERS TOPIC COUNT``, that reads ``COUNT`` records and prints the
seconds from the first to the last. They share no code with wirewatch, so that any interpreter that has the peer runs
them.
"""
