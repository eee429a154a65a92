"""What an edit of the settings would change, before it is served."""
