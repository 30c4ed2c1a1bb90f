"""Ground floor: clocks, transition tables and the bus of facts. No domain words live here."""
