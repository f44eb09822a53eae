"""The mailbox and scheduler that nobody trusts: stores sealed objects, relays, runs the queue.

It decides nothing. Its checks are hygiene: they keep strangers and junk out, and tell honest
people early that something is wrong. No secret depends on one of them.
"""
