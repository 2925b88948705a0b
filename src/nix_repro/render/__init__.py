"""Pure functions from the report to text: nothing here reads a file, a clock or the environment."""
