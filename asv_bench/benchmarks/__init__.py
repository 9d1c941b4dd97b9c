"""Ratios of times, each measured in one process: both sides take turns, and minima count."""
