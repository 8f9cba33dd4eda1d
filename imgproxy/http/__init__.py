"""HTTP parts that the edge, the files API, and the object gateway share."""
