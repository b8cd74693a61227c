"""Built-in resources: what every installation has on the desk, whatever its lines of business."""
