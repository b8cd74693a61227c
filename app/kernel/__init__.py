"""What every noun stands on; knows no screen, no gateway and no pack."""
