"""The plant: batteries, buildings, feeders, weather, outages, a utility, and strict stations on real sockets."""
