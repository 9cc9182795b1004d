"""Readers of published data sets: a module for each layout. What they mark with `@dataset` is registered."""
