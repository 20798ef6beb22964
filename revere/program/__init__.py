"""The programme itself: who takes part, who is enrolled in what, grants, and whether they reach who they are for."""
