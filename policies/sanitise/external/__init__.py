"""Guards that others run: what the settings say of them. They are asked by `gateway.guarding.external`."""
