"""What is wrong with the store, as one node sees it: asked of all, told in words."""
