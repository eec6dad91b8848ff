"""How an order is kept: published and confirmed, or stored on disk and handed over later."""
