"""The operator: keeps each delivery's exam-client alive from assignment to clean-up."""
