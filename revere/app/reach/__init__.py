"""How far the charging link reaches: its server and a light crowd of stations, each on a core of its own."""
