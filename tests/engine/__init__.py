"""How pixels are made: tests of `imgproxy.engine`."""
