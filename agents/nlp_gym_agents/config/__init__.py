"""What a user asked for, merged with defaults and checked; imports `runs` and below."""
