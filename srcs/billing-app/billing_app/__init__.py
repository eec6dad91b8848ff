"""billing-app: takes orders from the broker into the database, and shows them."""
