"""What starts Frontdesk: servers from this machine or from wheels, one launcher, one container image."""
