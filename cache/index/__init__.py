"""WHICH earlier prompts are near this one? One index a scope, and a bound over all of them."""
