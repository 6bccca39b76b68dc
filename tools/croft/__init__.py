"""The parts of ./croft. Each module knows one thing; cli.py puts them together."""
