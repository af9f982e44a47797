"""The coordinator: manages exams, people and deliveries, and keeps the results."""
