"""What an offer segment is: rule files and their schema, the compiler to SQL, the reference evaluator."""
