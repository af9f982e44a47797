"""One module per revision, in the order of their numbers; never edited once released."""
