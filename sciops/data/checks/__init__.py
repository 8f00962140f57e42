"""What `sciops.data.validate` looks at, one subject a file."""
