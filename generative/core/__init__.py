"""What every part of the package stands on: components and their files, options, run folders, devices."""
