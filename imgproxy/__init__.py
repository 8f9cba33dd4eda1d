"""An image transformation CDN proxy: one URL in, one picture out."""
