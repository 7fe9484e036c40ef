"""One source a file: each turns one kind of input into studies and rejected rows."""
