"""Stage 3, and what becomes of answers: texts are found in requests of every shape, judged, and rewritten."""
