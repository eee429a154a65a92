"""How the artefact of the injection detector is made; never imported while serving."""
