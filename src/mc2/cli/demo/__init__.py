"""`mc2 demo`: three parties, real clinical data, one report, one model, three attacks."""
