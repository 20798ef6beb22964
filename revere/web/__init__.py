"""All that people read: pages, the API and its live stream. Knows control by its view and its desk alone."""
