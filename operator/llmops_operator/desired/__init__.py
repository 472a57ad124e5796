"""What should be: pure builders of the children, one file per family, one function per object."""
