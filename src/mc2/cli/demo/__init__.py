"""`mc2 demo`: three parties, real clinical data, one report, one model, three attacks."""

from mc2.cli.demo.show import command

__all__ = ["command"]
