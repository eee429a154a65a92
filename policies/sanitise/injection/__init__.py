"""Tells attacks on a language model from ordinary text: by words, by notions and by how they follow one another."""
