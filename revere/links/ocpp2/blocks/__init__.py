"""What we do with each message of OCPP 2.x, a module for each functional block of the standard.

A block is functions on a :class:`~revere.links.ocpp2.dialog.Dialog` and a table ``ROUTES``: whatever goes wrong
in one of them is answered with an error by the connection, and every other block goes on.
"""
