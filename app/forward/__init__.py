"""The forward queue: durable transfers of studies to nodes (FWD-1 to FWD-5)."""
