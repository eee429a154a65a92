"""The copy of a text that detectors read, and the way back to the original."""
