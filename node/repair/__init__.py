"""Moving records: to the owners they belong to, and to co-owners that may lack them."""
