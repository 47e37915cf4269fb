"""Commands that give runs to others: over HTTP, on a page, on the Hub."""
