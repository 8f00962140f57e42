"""The few types on which everything else stands.  Import them from their files."""
