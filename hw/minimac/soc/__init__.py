"""Board tops: an array behind a serial line, with buffers, registers and a clock."""
