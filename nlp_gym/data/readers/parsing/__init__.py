"""Reader of dependency trees."""
