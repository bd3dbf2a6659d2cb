"""Replay past one core: the stream in slices of time, each looked at by another process, and one that decides in order.

What takes time needs no order once it is known what lies in memory: comparing a headline with those before it, finding its
topics, matching it. So a stream is cut into slices, and of each slice a worker finds out all of that (`finding`), after
it has looked at the headlines before it. The decisions are made where they always are, by one engine in the order of the
stream, whose deduper, classifier and matcher are handed what the workers found (`handed`) wherever that is certain to be
what they would have found themselves, and look for themselves elsewhere. ``docs/adr/0008-slices.md`` says why that is exact.
"""
