"""The chat's HTTP surface: an ASGI application beside, or in front of, the app's own."""
