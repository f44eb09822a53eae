"""Oblivious learning: trees and linear models over secret columns."""
