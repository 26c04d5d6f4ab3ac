"""What every page and route shares: session and actor dependencies, CSRF, errors, templates."""
