"""The numbers that others give: public figures, and another tool run live."""
