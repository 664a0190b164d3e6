"""Pure data: versions, records, causal contexts and donors, and how each is encoded."""
