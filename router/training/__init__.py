"""How the scorer's artefact is made; never imported while serving."""
