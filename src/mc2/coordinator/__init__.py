"""The untrusted service: stores sealed objects, relays messages, schedules; decides nothing."""
