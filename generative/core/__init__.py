"""What every part of the package stands on: components, their registry and files, options, views."""
