"""Read what an operator has: `open_traffic` turns files of any known format into checked contract rows."""
