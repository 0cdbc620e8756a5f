"""The durable record: tables, and the engine that reaches them."""
