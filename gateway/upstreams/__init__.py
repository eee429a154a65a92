"""Who answers: one kind of upstream a file, over one transport seam."""
