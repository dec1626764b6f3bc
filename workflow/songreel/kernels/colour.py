"""What is true of colours wherever they are."""

# How much red, green and blue add to the brightness of R'G'B' (ITU-R BT.601)
LUMA = (0.299, 0.587, 0.114)
