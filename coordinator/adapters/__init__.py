"""What the coordinator calls: exam-clients, ExamDelivery objects, identity providers."""
