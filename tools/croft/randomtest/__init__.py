"""The random tester: generated sequences on the bare machine and under Undercroft (docs/testing.md)."""
