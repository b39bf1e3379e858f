"""An issue's 'Must show' at full size; see `make acceptance`."""
