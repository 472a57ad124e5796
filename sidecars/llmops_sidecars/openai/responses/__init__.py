"""`/v1/responses`, for text: every response stands alone, nothing is stored."""
