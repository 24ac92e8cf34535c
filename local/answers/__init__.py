"""The page of questions with their answers: results and pictures of the company that is published here."""
