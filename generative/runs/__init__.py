"""What a training leaves behind: its folder, what it was made with, and runs that name other runs."""
