"""Demo: drawn images, registered as public files, and a page of example URLs."""
