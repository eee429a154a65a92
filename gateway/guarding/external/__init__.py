"""Guards that others run, asked over HTTP beside the checks of the gateway's own."""
