"""What objects say about one another: facts of each object, questions about all of them, rules that ask."""
