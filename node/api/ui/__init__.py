"""`/ui`: the page for who runs a store and looks at it in a browser."""
