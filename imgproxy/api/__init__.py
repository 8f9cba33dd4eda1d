"""HTTP for files: who asks, what for, and what is answered; `files` does what is to be done."""
